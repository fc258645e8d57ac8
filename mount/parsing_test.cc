// Command line, device, options, configuration: tables of what is taken and what is said of the
// rest. The texts are the original EFS mount helper's where that has the option.
#include <gtest/gtest.h>
#include <sys/mount.h>

#include "mount/command_line.h"
#include "mount/config.h"
#include "mount/device.h"
#include "mount/options.h"
#include "mount/text.h"

namespace tarn::mount {
namespace {

constexpr const char* kFs = "fs-0123456789abcdef0";
constexpr const char* kTls = "tls,accesspoint=fsap-0123456789abcdef0";

Result<Device> Parse(const std::string& text) {
  return ParseDevice(text, [](const std::string& name) -> Result<std::string> {
    if (name == "files.example.com") return std::string("fs-0123456789abcdef0.efs.tarn");
    if (name == "www.example.com") return name;
    return Error(Code::kNotFound, "no such name");
  });
}

TEST(Device, Forms) {
  struct Case {
    const char* text;
    const char* path;
    const char* host;
    const char* zone;
    const char* region;
  };
  const std::string fs = kFs;
  for (const auto& [text, path, host, zone, region] : {
           Case{"fs-0123456789abcdef0", "/", "", "", ""},
           Case{"fs-0123456789abcdef0:", "/", "", "", ""},
           Case{"fs-0123456789abcdef0:/", "/", "", "", ""},
           Case{"fs-0123456789abcdef0:/a//b/./", "/a/b", "", "", ""},
           Case{"fs-0123456789abcdef0.efs.eu-west-1.amazonaws.com:/a", "/a",
                "fs-0123456789abcdef0.efs.eu-west-1.amazonaws.com", "", "eu-west-1"},
           Case{"eu-west-1a.fs-0123456789abcdef0.efs.eu-west-1.amazonaws.com", "/",
                "eu-west-1a.fs-0123456789abcdef0.efs.eu-west-1.amazonaws.com", "eu-west-1a",
                "eu-west-1"},
           Case{"fs-0123456789abcdef0.efs.cn-north-1.amazonaws.com.cn", "/",
                "fs-0123456789abcdef0.efs.cn-north-1.amazonaws.com.cn", "", "cn-north-1"},
           Case{"fs-0123456789abcdef0.efs.tarn:/x", "/x", "fs-0123456789abcdef0.efs.tarn", "", ""},
           Case{"a.fs-0123456789abcdef0.efs.tarn", "/", "a.fs-0123456789abcdef0.efs.tarn", "a", ""},
           Case{"files.example.com:/x", "/x", "files.example.com", "", ""},
       }) {
    auto device = Parse(text);
    ASSERT_TRUE(device.ok()) << text << ": " << device.error().message();
    EXPECT_EQ(device->file_system_id, fs) << text;
    EXPECT_EQ(device->path, path) << text;
    EXPECT_EQ(device->host, host) << text;
    EXPECT_EQ(device->zone, zone) << text;
    EXPECT_EQ(device->region, region) << text;
  }
}

TEST(Device, RefusesAllElse) {
  for (const char* bad :
       {"", ":/", "fs-", "fs-xyz:/", "fs-0123456789abcdef0:a", "fs-0123456789abcdef0:/a/../b",
        "fs-0123456789abcdef0:/..", "fs-0123456789abcdef0:/a\nb", "fs-0123456789abcdef0,ro:/",
        "fs-0123456789abcdef0.efs.tarn.evil:/", "fs-0123456789abcdef0.efs.eu-west-1.amazonaws.org",
        "10.0.0.1:/", "www.example.com:/", "nowhere.example.com:/", "a b.example.com:/"}) {
    auto device = Parse(bad);
    EXPECT_EQ(device.code(), Code::kInvalid) << bad;
  }
  EXPECT_NE(Parse("nowhere.example.com:/")
                .error()
                .message()
                .find("Failed to resolve \"nowhere.example.com\""),
            std::string::npos);
}

TEST(Options, OwnOnesAreTakenOutBeforeNfs) {
  auto options = ParseOptions({"tls,iam,accesspoint=fsap-0123456789abcdef0,awsprofile=backup",
                               "region=eu-west-1,az=a,jwtpath=/t,cafile=/c,config=/f,noocsp,"
                               "tlsport=20050,verify=2,stunnel,mounttargetip=10.0.0.7,"
                               "_netdev,noauto,user,x-systemd.automount,comment=mine,rw"});
  ASSERT_TRUE(options.ok()) << options.error().message();
  EXPECT_TRUE(options->tls && options->iam);
  EXPECT_EQ(options->access_point_id, "fsap-0123456789abcdef0");
  EXPECT_EQ(options->profile, "backup");
  EXPECT_EQ(options->region, "eu-west-1");
  EXPECT_EQ(options->zone, "a");
  EXPECT_EQ(options->jwt_path, "/t");
  EXPECT_EQ(options->authority_file, "/c");
  EXPECT_EQ(options->config_file, "/f");
  EXPECT_EQ(options->mount_target_ip, "10.0.0.7");
  EXPECT_EQ(options->nfs.ToString(), "");
}

TEST(Options, TheOthersAreNfsOptionsOfTheList) {
  auto options = ParseOptions({"ro,noatime,,timeo=100,nfsvers=4.1"});
  ASSERT_TRUE(options.ok());
  EXPECT_FALSE(options->tls);
  EXPECT_EQ(options->nfs.flags, MS_RDONLY | MS_NOATIME);
  EXPECT_EQ(options->nfs.ToString(), "ro,noatime,timeo=100,vers=4.1");
  // What mount(2) would get for the original's defaults.
  EXPECT_EQ(csi::NfsMountData(ParseOptions({"tls"})->nfs, "127.0.0.1", 20049, ""),
            "hard,noresvport,proto=tcp,retrans=2,rsize=1048576,sec=sys,timeo=600,vers=4.1,"
            "wsize=1048576,port=20049,addr=127.0.0.1");
}

TEST(Options, SaysWhatIsWrong) {
  struct Case {
    const char* options;
    const char* says;
  };
  for (const auto& [options, says] : {
           Case{"tls,port=2049", "The \"port\" and \"tls\" options are mutually exclusive"},
           Case{"tls,tlsport=a", "tlsport option [a] is not an integer"},
           Case{"tls,ocsp,noocsp", "The \"ocsp\" and \"noocsp\" options are mutually exclusive"},
           Case{"tls,notls", "The \"tls\" and \"notls\" options are mutually exclusive"},
           Case{"accesspoint=fsap-0123456789abcdef0",
                "The \"tls\" option is required when mounting via \"accesspoint\""},
           Case{"tls,accesspoint=fsap-x", "Access Point ID fsap-x is malformed"},
           Case{"tls,accesspoint=fsap-0123456789abcdef0/..",
                "Access Point ID fsap-0123456789abcdef0/.. is malformed"},
           Case{"iam", "The \"tls\" option is required when mounting via \"iam\""},
           Case{"tls,awsprofile=a",
                "The \"iam\" option is required when mounting with named profile option, "
                "\"awsprofile\""},
           Case{"capath=/x", "Unsupported mount options detected: \"capath\""},
           Case{"mounttargetip=10.0.0.1,crossaccount",
                "mounttargetip option is incompatible with crossaccount option."},
           Case{"tls,jwtpath=/t",
                "The \"iam\" option is required when mounting with a token, \"jwtpath\""},
           Case{"tls,iam,jwtpath=t", "The \"jwtpath\" option must be an absolute path"},
           Case{"tls,iam,jwtpath=", "The \"jwtpath\" option needs a value"},
           Case{"mounttargetip=10.0.0.1:1",
                "mounttargetip option [10.0.0.1:1] is not an IP address"},
           Case{"mounttargetip=host", "mounttargetip option [host] is not an IP address"},
           Case{"port=0", "port option [0] is not a port"},
           Case{"tls,iam,rolearn=arn:aws:iam::1:role/a",
                "The \"rolearn\" option is not supported: use \"jwtpath\" alone: the token itself "
                "is the identity"},
           Case{"remount", "\"remount\" is not supported: unmount it, and mount it again"},
           Case{"ro\nsuid", "mount options may hold no line ends or other control characters"},
           Case{"addr=1.2.3.4", "mount option 'addr=1.2.3.4' is not supported"},
           Case{"clientaddr=1.2.3.4", "mount option 'clientaddr=1.2.3.4' is not supported"},
           Case{"sec=krb5", "mount option 'sec=krb5' is not supported: it may be sys"},
       }) {
    auto parsed = ParseOptions({options});
    ASSERT_EQ(parsed.code(), Code::kInvalid) << options;
    EXPECT_EQ(parsed.error().message(), says) << options;
  }
}

TEST(Options, SloppyLeavesOutWhatNfsHasNot) {
  auto options = ParseOptions({"addr=1.2.3.4,ro,nonsense", kTls}, /*sloppy=*/true);
  ASSERT_TRUE(options.ok());
  EXPECT_EQ(options->nfs.ToString(), "ro");
  EXPECT_FALSE(ParseOptions({"iam"}, /*sloppy=*/true).ok());
}

TEST(CommandLine, AsMountCallsIt) {
  auto line = ParseCommandLine({"fs-1:/", "/mnt", "-sfnv", "-o", "rw,tls", "-r", "-t", "efs"});
  ASSERT_TRUE(line.ok()) << line.error().message();
  EXPECT_EQ(line->device, "fs-1:/");
  EXPECT_EQ(line->mount_point, "/mnt");
  EXPECT_TRUE(line->fake && line->sloppy && line->verbose);
  EXPECT_EQ(line->options, (std::vector<std::string>{"rw,tls", "ro"}));
  EXPECT_EQ(ParseCommandLine({"-otls", "a", "b"})->options, std::vector<std::string>{"tls"});
  EXPECT_EQ(ParseCommandLine({"--watch", "--config", "/c"})->config_file, "/c");
  EXPECT_EQ(ParseCommandLine({"a", "--version"})->what, CommandLine::What::kVersion);
  EXPECT_EQ(ParseCommandLine({"-h"})->what, CommandLine::What::kHelp);
}

TEST(CommandLine, RefusesAllElse) {
  for (const std::vector<std::string>& bad :
       std::vector<std::vector<std::string>>{{},
                                             {"a"},
                                             {"a", "b", "c"},
                                             {"a", "b", "-o"},
                                             {"a", "b", "-z"},
                                             {"a", "b", "--bind"},
                                             {"--watch", "a"}}) {
    EXPECT_EQ(ParseCommandLine(bad).code(), Code::kInvalid);
  }
}

TEST(Config, SaysWhichKeyIsWrong) {
  auto config = ParseConfig(
      "# a comment\n[mount]\ntunnel = /run/t.sock\nregion=eu-west-1\n[watch]\ninterval = 2\n");
  ASSERT_TRUE(config.ok()) << config.error().message();
  EXPECT_EQ(config->tunnel, "/run/t.sock");
  EXPECT_EQ(config->region, "eu-west-1");
  EXPECT_EQ(config->interval, std::chrono::seconds(2));
  EXPECT_EQ(config->registry, "/run/tarn/registry");
  for (const char* bad : {"[mount]\nnonsense = 1", "[mount]\ntunnel = run", "[watch]\ninterval = 0",
                          "[watch]\ninterval = x", "tunnel = /x"}) {
    EXPECT_EQ(ParseConfig(bad).code(), Code::kInvalid) << bad;
  }
}

}  // namespace
}  // namespace tarn::mount
