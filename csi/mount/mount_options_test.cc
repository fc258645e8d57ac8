#include "csi/mount/mount_options.h"

#include <gtest/gtest.h>
#include <sys/mount.h>

namespace tarn::csi {
namespace {

TEST(MountOptions, SplitsFlagsFromNfsOptions) {
  auto options = ParseMountOptions({"ro", "NoSuid", "TIMEO=100", "soft", "nfsvers=4.0"}, "");
  ASSERT_TRUE(options.ok()) << options.error().message();
  EXPECT_EQ(options->flags, MS_RDONLY | MS_NOSUID);
  EXPECT_EQ(options->ToString(), "ro,nosuid,soft,timeo=100,vers=4.0");
}

TEST(MountOptions, TheLastOneWins) {
  auto options = ParseMountOptions(
      {"ro", "rw", "soft", "hard", "timeo=1", "timeo=2", "vers=4.0", "minorversion=1"}, "");
  ASSERT_TRUE(options.ok());
  EXPECT_EQ(options->ToString(), "hard,timeo=2,vers=4.1");
}

TEST(MountOptions, EveryMinorVersion) {
  for (std::string minor : {"0", "1", "2"}) {
    auto options = ParseMountOptions({"minorversion=" + minor}, "");
    ASSERT_TRUE(options.ok());
    EXPECT_EQ(options->ToString(), "vers=4." + minor);
    EXPECT_TRUE(ParseMountOptions({"vers=4." + minor}, "").ok());
  }
  EXPECT_FALSE(ParseMountOptions({"minorversion=3"}, "").ok());
}

TEST(MountOptions, WhatItWritesItReads) {
  auto options = ParseMountOptions({"noatime", "nodev", "rsize=65536", "noac", "vers=4"}, "");
  ASSERT_TRUE(options.ok());
  auto again = ParseMountOptions({"nodev", "noatime", "noac", "rsize=65536", "vers=4.1"}, "");
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(options->ToString(), again->ToString());
}

TEST(MountOptions, AccessPointMustBeTheVolumes) {
  EXPECT_TRUE(ParseMountOptions({"accesspoint=fsap-01234567"}, "fsap-01234567").ok());
  EXPECT_FALSE(ParseMountOptions({"accesspoint=fsap-01234568"}, "fsap-01234567").ok());
  auto named = ParseMountOptions({"tls", "iam", "accesspoint=fsap-01234567", "ro"}, "");
  ASSERT_TRUE(named.ok());
  EXPECT_EQ(named->access_point_id, "fsap-01234567");
  EXPECT_TRUE(named->tls && named->iam);
  EXPECT_EQ(named->ToString(), "ro");  // the others are not for a kernel
  EXPECT_FALSE(ParseMountOptions({"accesspoint=fsap-01234567/.."}, "").ok());
  EXPECT_FALSE(ParseMountOptions({"accesspoint="}, "").ok());
}

TEST(MountOptions, RefusesEverythingElse) {
  for (const char* bad : {"",
                          "ro,suid",
                          "ro suid",
                          "ro\nsuid",
                          "timeo=5,addr=1.2.3.4",
                          "timeo=",
                          "timeo=-1",
                          "timeo=99999999999999999999",
                          "timeo=1x",
                          "rsize=1",
                          "hard=1",
                          "vers=3",
                          "vers=4.3",
                          "sec=krb5",
                          "addr=1.2.3.4",
                          "clientaddr=1.2.3.4",
                          "port=1",
                          "mountaddr=1.2.3.4",
                          "context=x",
                          "tls=yes",
                          "iam=yes",
                          "crossaccount",
                          "bind",
                          "remount",
                          "user=root",
                          "lookupcache=yes",
                          "\x7f",
                          "nconnect=64",
                          "local_lock=all",
                          "proto=udp",
                          "ro=1"}) {
    auto options = ParseMountOptions({bad}, "");
    EXPECT_EQ(options.code(), Code::kInvalid) << bad;
    if (!options.ok()) {
      EXPECT_EQ(options.error().message().find('\n'), std::string::npos);
    }
  }
}

TEST(NfsMountData, HasEfsDefaultsUnderTheOptions) {
  auto options = ParseMountOptions({"timeo=100", "soft"}, "");
  ASSERT_TRUE(options.ok());
  EXPECT_EQ(NfsMountData(*options, "10.0.0.1", 2049, "10.0.0.9"),
            "noresvport,proto=tcp,retrans=2,rsize=1048576,sec=sys,soft,timeo=100,vers=4.1,"
            "wsize=1048576,addr=10.0.0.1,clientaddr=10.0.0.9");
  EXPECT_EQ(NfsMountData({}, "fd00::1", 12049, ""),
            "hard,noresvport,proto=tcp6,retrans=2,rsize=1048576,sec=sys,timeo=600,vers=4.1,"
            "wsize=1048576,port=12049,addr=fd00::1");
}

}  // namespace
}  // namespace tarn::csi
