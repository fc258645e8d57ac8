#include "csi/mount/mount_info.h"

#include <gtest/gtest.h>

#include "csi/mount/mounter.h"
#include "csi/mount/nfs_mount.h"

namespace tarn::csi {
namespace {

constexpr char kText[] =
    "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
    "not a line\n"
    "40 22 0:51 / /a\\040b ro,relatime shared:7 master:3 - nfs4 10.0.0.1:/fsap-01234567 "
    "rw,vers=4.1\n"
    "41 22 0:52 / /m rw - fuse.tarn 10.0.0.1:2049:/fsap-01234567/sub rw\n"
    "42 41 0:53 /x /m rw - tmpfs none rw";

TEST(MountInfo, ReadsFieldsAndEscapes) {
  auto mounts = ParseMountInfo(kText);
  ASSERT_EQ(mounts.size(), 4u);
  auto nfs = FindMount(mounts, "/a b");
  ASSERT_TRUE(nfs);
  EXPECT_EQ(nfs->type, "nfs4");
  EXPECT_EQ(nfs->source, "10.0.0.1:/fsap-01234567");
  EXPECT_EQ(nfs->device, "0:51");
  EXPECT_TRUE(nfs->read_only());
  EXPECT_EQ(FindMount(mounts, "/m")->type, "tmpfs");  // the one on top
  EXPECT_FALSE(FindMount(mounts, "/a"));
}

TEST(MountInfo, ReadsTheRealOne) {
  auto mounts = ReadMountInfo();
  ASSERT_TRUE(mounts.ok());
  EXPECT_TRUE(FindMount(*mounts, "/proc"));
}

TEST(MountInfo, KnowsOurMountsByTheirExport) {
  auto mounts = ParseMountInfo(kText);
  EXPECT_FALSE(IsTarnMount(mounts[0]));
  EXPECT_TRUE(IsMountOf(mounts[1], "10.9.9.9:2049", "/fsap-01234567"));
  EXPECT_FALSE(IsMountOf(mounts[1], "10.0.0.1:2049", "/fsap-01234567/sub"));
  EXPECT_TRUE(IsMountOf(mounts[2], "10.0.0.1:2049", "/fsap-01234567/sub"));
  MountEntry plain = mounts[1];
  plain.source = "10.0.0.1:/data";
  EXPECT_TRUE(IsMountOf(plain, "10.0.0.1:2049", "/data"));
  EXPECT_FALSE(IsMountOf(plain, "10.0.0.2:2049", "/data"));
  plain.source = "[fd00::1]:2049:/data";
  EXPECT_TRUE(IsMountOf(plain, "[fd00::1]:2049", "/data"));
}

TEST(HostPort, SplitsAndJoins) {
  struct Case {
    const char* text;
    const char* host;
    int port;
  };
  for (const Case& one :
       {Case{"10.0.0.1:2050", "10.0.0.1", 2050}, Case{"10.0.0.1", "10.0.0.1", 2049},
        Case{"[fd00::1]:1", "fd00::1", 1}, Case{"fd00::1", "fd00::1", 2049},
        Case{"[fd00::1]", "fd00::1", 2049}, Case{"host.name:7", "host.name", 7}}) {
    auto at = SplitHostPort(one.text);
    ASSERT_TRUE(at.ok()) << one.text;
    EXPECT_EQ(at->host, one.host);
    EXPECT_EQ(at->port, one.port);
    EXPECT_EQ(SplitHostPort(JoinHostPort(*at))->host, one.host);
  }
  for (const char* bad : {"", ":1", "h:0", "h:65536", "h:x", "[::1", "[::1]x", "h,addr=1", "a b"}) {
    EXPECT_EQ(SplitHostPort(bad).code(), Code::kInvalid) << bad;
  }
}

TEST(MountedServer, IsWhereTheMountIsConnected) {
  auto of = [](const char* line) {
    auto mounts = ParseMountInfo(line);
    auto server = MountedServer(mounts.at(0));
    return server.ok() ? *server : "";
  };
  EXPECT_EQ(of("5 1 0:50 / /a rw shared:1 - nfs4 127.0.0.1:/fsap-1 "
               "rw,vers=4.1,port=20051,addr=127.0.0.1"),
            "127.0.0.1:20051");
  EXPECT_EQ(of("5 1 0:50 / /a rw - nfs4 server:/x ro,vers=4.1,addr=10.0.0.7"), "10.0.0.7:2049");
  EXPECT_EQ(of("5 1 0:50 / /a rw - fuse.tarn 127.0.0.1:20052:/fsap-1 rw,allow_other"),
            "127.0.0.1:20052");
  EXPECT_EQ(of("5 1 0:50 / /a rw - nfs4 [::1]:/x rw,port=7,addr=::1"), "[::1]:7");
  EXPECT_EQ(of("5 1 0:50 / /a rw - ext4 /dev/sda1 rw"), "");
}

}  // namespace
}  // namespace tarn::csi
