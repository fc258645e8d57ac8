// The mount helper, the tunnel and a server that speaks TLS, verifies tokens and knows access keys,
// as processes, with real mounts: by FUSE, or by the kernel's client (TARN_MOUNTER).
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <filesystem>

#include "tests/csi/plugin_world.h"

namespace tarn::csi {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kFs = "fs-0123456789abcdef0";
constexpr const char* kKeys = R"({"accessKeys": [
  {"id": "AKIAWRITER", "secret": "secret-of-writer",
   "principal": "arn:aws:iam::123456789012:user/writer"},
  {"id": "ASIAREADER", "secret": "secret-of-reader", "sessionToken": "session+of/reader=",
   "principal": "arn:aws:iam::123456789012:role/reader"},
  {"id": "AKIANOBODY", "secret": "secret-of-nobody",
   "principal": "arn:aws:iam::123456789012:user/nobody"}]})";
constexpr const char* kProfiles = R"([default]
aws_access_key_id = AKIAWRITER
aws_secret_access_key = secret-of-writer
[reader]
aws_access_key_id = ASIAREADER
aws_secret_access_key = secret-of-reader
aws_session_token = session+of/reader=
[nobody]
aws_access_key_id = AKIANOBODY
aws_secret_access_key = secret-of-nobody
[guessed]
aws_access_key_id = AKIAWRITER
aws_secret_access_key = guessed
)";

// Who writes and who reads, as principals; nobody else may do anything, and nobody without TLS.
std::string Policy(const std::string& writer, const std::string& reader) {
  return R"({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": )" +
         writer + R"(,
     "Action": ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]},
    {"Effect": "Allow", "Principal": )" +
         reader + R"(, "Action": "elasticfilesystem:ClientMount"},
    {"Effect": "Deny", "Principal": "*", "Action": "*",
     "Condition": {"Bool": {"aws:SecureTransport": "false"}}}]})";
}

const std::string kServiceAccounts =
    Policy(R"({"ServiceAccount": "a/*"})", R"({"ServiceAccount": "b/*"})");
const std::string kAccessKeys = Policy(R"({"AWS": "arn:aws:iam::123456789012:user/writer"})",
                                       R"({"AWS": "arn:aws:iam::123456789012:role/reader"})");

struct Outcome {
  int status;
  std::string said;
};

struct MountHelperE2E : testing::Test {
  MountHelperE2E() {
    WriteFile(world.dir + "/credentials", kProfiles);
    setenv("AWS_SHARED_CREDENTIALS_FILE", (world.dir + "/credentials").c_str(), 1);
    const char* mounter = std::getenv("TARN_MOUNTER");
    WriteFile(world.dir + "/mount.conf",
              "[mount]\ntunnel = " + world.dir + "/tunnel/tunnel.sock\nregistry = " + world.dir +
                  "/registry\nauthority = " + world.dir +
                  "/tls/ca.crt\nmounter = " + (mounter != nullptr ? mounter : "fuse") +
                  "\ncgroup =\nstate = " + world.dir + "/state\nlog = " + world.dir +
                  "/log/mount.log\ntimeout = 3\n" + "[watch]\ninterval = 1\n");
    std::string id = world.Create("v", 1 << 30).volume_id();
    access_point = id.substr(id.rfind(':') + 1);
  }
  ~MountHelperE2E() override {
    if (HasFailure()) std::cerr << "--- mount.log\n" << Log();
    if (pid_t pid = WatcherPid(); pid > 0) kill(pid, SIGKILL);
  }

  // mount.efs DEVICE DIRECTORY -o OPTIONS, with this test's configuration.
  Outcome Mount(const std::string& name, const std::string& options,
                const std::string& device = kFs, const std::vector<std::string>& more = {}) {
    std::filesystem::create_directories(At(name));
    std::vector<std::string> arguments = {device, At(name), "-o",
                                          options + ",config=" + world.dir + "/mount.conf"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Run(arguments);
  }
  Outcome Run(const std::vector<std::string>& arguments) {
    const std::string output = world.dir + "/said";
    std::filesystem::remove(output);
    Process helper(world.bin + "/mount.efs", arguments, output);
    int status = helper.Wait();
    return {status, ReadFile(output)};
  }
  std::string TokenFile(const std::string& service_account,
                        std::chrono::seconds life = std::chrono::hours(1)) {
    std::string file = world.dir + "/token." + service_account.substr(0, 1);
    WriteFile(file + ".new", world.Token(service_account, life));
    std::filesystem::rename(file + ".new", file);
    return file;
  }
  std::string WithToken(const std::string& service_account) {
    return "tls,iam,accesspoint=" + access_point + ",jwtpath=" + TokenFile(service_account);
  }
  std::string WithProfile(const std::string& profile) {
    return "tls,iam,accesspoint=" + access_point + ",awsprofile=" + profile;
  }
  std::string At(const std::string& name) const { return world.dir + "/mnt/" + name; }
  bool Unmount(const std::string& name) { return umount2(At(name).c_str(), 0) == 0; }
  std::string Log() const { return ReadFile(world.dir + "/log/mount.log"); }
  size_t Certificates() const {  // that the watchers made
    const std::string log = Log(), line = "has a new certificate";
    size_t count = 0;
    for (size_t at = log.find(line); at != std::string::npos; at = log.find(line, at + 1)) ++count;
    return count;
  }
  size_t Opened() const {
    std::filesystem::directory_iterator files(world.dir + "/tunnel/mounts");
    return static_cast<size_t>(std::distance(begin(files), end(files)));
  }
  pid_t WatcherPid() const {
    const std::string words("mount.tarn\0--watch\0--config\0", 28);
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      if (ReadFile(entry.path().string() + "/cmdline").starts_with(words + world.dir + "/")) {
        return std::atoi(entry.path().filename().c_str());
      }
    }
    return 0;
  }
  void WritesReadsOrIsRefused(const std::string& writer, const std::string& reader,
                              const std::string& nobody) {
    auto done = Mount("writer", writer);
    ASSERT_EQ(done.status, 0) << done.said;
    done = Mount("reader", reader);
    ASSERT_EQ(done.status, 0) << done.said;
    ASSERT_TRUE(WriteFile(At("writer/file"), "hello")) << strerror(errno);
    EXPECT_EQ(ReadFile(At("reader/file")), "hello");
    EXPECT_FALSE(WriteFile(At("reader/other"), "no"));
    EXPECT_EQ(errno, EROFS);
    done = Mount("nobody", nobody);
    EXPECT_EQ(done.status, 32);
    EXPECT_THAT(done.said, HasSubstr("access denied by the server while mounting " +
                                     std::string(kFs) + ": the policy of file system"));
    EXPECT_THAT(Log(), HasSubstr("access denied"));
    EXPECT_EQ(world.MountCount(), 2u);
  }

  World world{/*tls=*/true, kKeys};
  std::string access_point;
};

TEST_F(MountHelperE2E, ThreeServiceAccountsOnePolicy) {
  ASSERT_TRUE(world.PutPolicy(kServiceAccounts));
  WritesReadsOrIsRefused(WithToken("a/web"), WithToken("b/web"), WithToken("c/web"));
  struct stat info {};
  ASSERT_EQ(stat((world.dir + "/log/mount.log").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
  std::string token = ReadFile(world.dir + "/token.a").substr(0, 40);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(world.dir + "/state")) {
    EXPECT_THAT(ReadFile(entry.path()), Not(HasSubstr(token)));
  }
  EXPECT_THAT(Log(), Not(HasSubstr(token)));
  // An unmount by anybody closes what carried it, and the watcher ends with the last one.
  EXPECT_NE(WatcherPid(), 0);
  EXPECT_TRUE(Unmount("writer"));
  EXPECT_TRUE(Eventually([&] { return Opened() == 1; }, std::chrono::seconds(40)));
  EXPECT_EQ(ReadFile(At("reader/file")), "hello");
  EXPECT_TRUE(Unmount("reader"));
  EXPECT_TRUE(
      Eventually([&] { return Opened() == 0 && WatcherPid() == 0; }, std::chrono::seconds(40)));
}

TEST_F(MountHelperE2E, ThreeAccessKeysOnePolicy) {
  ASSERT_TRUE(world.PutPolicy(kAccessKeys));
  WritesReadsOrIsRefused("tls,iam,accesspoint=" + access_point, WithProfile("reader"),
                         WithProfile("nobody"));
  EXPECT_NE(Mount("guessed", WithProfile("guessed")).status, 0);
  EXPECT_THAT(Log(), Not(HasSubstr("secret-of")));
}

TEST_F(MountHelperE2E, AKeyOfTheEnvironmentStaysInTheHelper) {
  ASSERT_TRUE(world.PutPolicy(kAccessKeys));
  setenv("AWS_ACCESS_KEY_ID", "AKIAWRITER", 1);
  setenv("AWS_SECRET_ACCESS_KEY", "secret-of-writer", 1);
  auto done = Mount("writer", "tls,iam,accesspoint=" + access_point);
  unsetenv("AWS_ACCESS_KEY_ID");
  unsetenv("AWS_SECRET_ACCESS_KEY");
  ASSERT_EQ(done.status, 0) << done.said;
  EXPECT_TRUE(WriteFile(At("writer/file"), "hello"));
  for (pid_t pid : {WatcherPid(), World::FusePidAt(At("writer"))}) {
    if (pid == 0) continue;  // the kernel's client has no process
    EXPECT_THAT(ReadFile("/proc/" + std::to_string(pid) + "/environ"), Not(HasSubstr("AKIA")));
  }
}

TEST_F(MountHelperE2E, ATokenIsRenewedWithoutANewMount) {
  using std::chrono::seconds;
  ASSERT_TRUE(world.PutPolicy(kServiceAccounts));
  constexpr seconds kLife{20};
  const std::string file = TokenFile("a/web", kLife);
  const auto begin = std::chrono::steady_clock::now();
  auto done = Mount("a", "tls,iam,accesspoint=" + access_point + ",jwtpath=" + file);
  ASSERT_EQ(done.status, 0) << done.said;
  ASSERT_TRUE(WriteFile(At("a/one"), "1"));
  pid_t watcher = WatcherPid();
  ASSERT_GT(watcher, 0);
  kill(watcher, SIGKILL);  // the next mount starts it again
  const size_t first = Certificates();
  EXPECT_EQ(Mount("other", WithToken("b/web")).status, 0);
  // At its first look it makes one for each of the two; from then on, only for a change.
  EXPECT_TRUE(Eventually([&] { return Certificates() == first + 2; }));
  EXPECT_GT(WatcherPid(), 0);
  const size_t before = Certificates();
  TokenFile("a/web", 30 * kLife);
  EXPECT_TRUE(Eventually([&] { return Certificates() > before; }));
  std::this_thread::sleep_until(begin + kLife + seconds(1));
  world.server->Kill();  // so that a new connection has to say who it is
  world.StartServer();
  EXPECT_TRUE(Eventually([&] { return WriteFile(At("a/two"), "2"); }));
}

TEST_F(MountHelperE2E, OutlivesTheTunnelAndIsMountedOnce) {
  auto done = Mount("a", "tls,accesspoint=" + access_point, std::string(kFs) + ":/");
  ASSERT_EQ(done.status, 0) << done.said;
  ASSERT_TRUE(WriteFile(At("a/one"), "1"));
  world.tunnel->Kill();
  world.StartTunnel();
  EXPECT_TRUE(WriteFile(At("a/two"), "2"));
  done = Mount("a", "tls,accesspoint=" + access_point);
  EXPECT_EQ(done.status, 0);
  EXPECT_EQ(done.said, At("a") + " is already mounted, please run 'mount' command to verify\n");
  EXPECT_EQ(world.MountCount(), 1u);
}

TEST_F(MountHelperE2E, WaitsForAServerThatStartsAnew) {
  for (const char* options : {"rw", "tls"}) {
    SCOPED_TRACE(options);
    world.server->Kill();
    std::jthread starter([&] {
      std::this_thread::sleep_for(std::chrono::seconds(2));
      world.StartServer();
    });
    auto done = Mount("late", options);
    starter.join();
    EXPECT_EQ(done.status, 0) << done.said;
    EXPECT_TRUE(Unmount("late"));
  }
}

TEST_F(MountHelperE2E, WithoutTlsItIsPlainNfs) {
  auto done = Mount("plain", "rw", std::string(kFs) + ":/", {"-v"});
  ASSERT_EQ(done.status, 0) << done.said;
  EXPECT_THAT(done.said, HasSubstr("is mounted at"));
  EXPECT_EQ(Opened(), 0u);
  EXPECT_EQ(WatcherPid(), 0);
  EXPECT_TRUE(Unmount("plain"));
  ASSERT_TRUE(world.PutPolicy(kServiceAccounts));
  done = Mount("plain", "rw");
  EXPECT_EQ(done.status, 32);
  EXPECT_THAT(done.said, HasSubstr("without the \"tls\" option"));
}

TEST_F(MountHelperE2E, SaysWhatIsMissing) {
  struct Case {
    const char* what;
    std::string options;
    std::string device;
    int status;
    const char* says;
  };
  const std::string fs = kFs;
  for (const auto& [what, options, device, status, says] : {
           Case{"no identity", "tls,iam,awsprofile=missing", fs, 1, "profile \"missing\""},
           Case{"no token", "tls,iam,jwtpath=/nowhere", fs, 1, "cannot be read"},
           Case{"no authority", "tls,cafile=/nowhere", fs, 1, "ConfigMap tarn-nfs-ca"},
           Case{"no server", "tls", "fs-0123456789abcdef1", 1,
                "Failed to resolve \"fs-0123456789abcdef1.efs.tarn\" - check that your file "
                "system ID is correct"},
           Case{"no directory of it", "tls", fs + ":/nowhere", 32, "Could not mount"},
       }) {
    auto done = Mount("x", options, device);
    EXPECT_EQ(done.status, status) << what << ": " << done.said;
    EXPECT_THAT(done.said, HasSubstr(says)) << what;
  }
  world.tunnel->Kill();
  auto done = Mount("x", "tls");
  EXPECT_EQ(done.status, 1);
  EXPECT_THAT(done.said, HasSubstr("Failed to initialize tunnel for " + fs));
  EXPECT_EQ(Mount("x", "tls", fs, {"-f"}).status, 0) << "a fake mount does not mount";
  done = Run({fs, world.dir + "/no-directory", "-o", "tls,config=" + world.dir + "/mount.conf"});
  EXPECT_EQ(done.status, 1);
  EXPECT_THAT(done.said, HasSubstr("mount point " + world.dir + "/no-directory"));
  EXPECT_THAT(Run({"--version"}).said, HasSubstr("mount.efs Version: "));
  EXPECT_EQ(Run({"--help"}).status, 0);
  EXPECT_EQ(Run({fs}).status, 1);
  for (const char* verb : {"helper", "fuse"}) {
    EXPECT_THAT(Run({verb, "check", "/"}).said, HasSubstr("a file system and a mount point"));
  }
  EXPECT_EQ(world.MountCount(), 0u);
}

}  // namespace
}  // namespace tarn::csi
