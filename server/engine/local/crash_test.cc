// Processes that are killed, and disks that are full: what was acknowledged is there.
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <random>
#include <thread>

#include "common/crypto/secret_bytes.h"
#include "server/engine/local/crash/workload.h"
#include "server/engine/local/local_engine.h"
#include "server/engine/local/test_directory.h"

extern char** environ;

namespace tarn::local {
namespace {

using namespace vfs;  // NOLINT(google-build-using-namespace)

constexpr int kThreads = 4;
const Caller kRoot{.uid = 0, .gid = 0, .gids = {}, .replay = {}};

std::string WorkerPath() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / "engine_local_worker";
}

// A child process, killed at the end.
class Worker {
 public:
  explicit Worker(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), WorkerPath());
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    int out[2];
    EXPECT_EQ(::pipe(out), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, out[0]);
    EXPECT_EQ(::posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    ::close(out[1]);
    out_ = out[0];
  }
  ~Worker() {
    Kill();
    ::close(out_);
  }

  // False: it ended before it said something.
  bool WaitUntilReady() {
    char byte;
    return ::read(out_, &byte, 1) == 1;
  }
  void Kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    (void)Wait();
  }
  int Wait() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return status;
  }

 private:
  pid_t pid_ = -1;
  int out_ = -1;
};

LocalOptions Options(const std::string& directory) {
  LocalOptions options;
  options.data_dir = directory;
  return options;
}

void VerifyRound(FileSystem& fs, const std::string& logs, uint64_t seed, uint64_t* operations) {
  FileId top = *fs.RealmRoot(kRootRealm);
  for (int i = 0; i < kThreads; ++i) {
    std::string name = "run" + std::to_string(seed) + "-" + std::to_string(i);
    LoggedRun run = ReadLog(logs + "/" + name);
    *operations += run.operations;
    auto directory = fs.Lookup(kRoot, top, name);
    ASSERT_TRUE(directory.ok()) << name;
    for (const std::string& problem : Verify(fs, directory->id, run)) {
      ADD_FAILURE() << name << " after " << run.operations << " operations: " << problem;
    }
  }
  auto problems = fs.Check([](std::string_view line) { ADD_FAILURE() << line; });
  ASSERT_TRUE(problems.ok());
  EXPECT_EQ(*problems, 0u);
}

// `key`: empty, or of an encrypted file system.
void KillOften(uint64_t rounds, const std::string& key) {
  TestDirectory directory;
  std::string data = directory.path() + "/data";
  std::string logs = directory.path() + "/logs";
  std::filesystem::create_directory(logs);
  std::mt19937_64 random(std::random_device{}());
  uint64_t operations = 0;
  for (uint64_t round = 0; round < rounds && !::testing::Test::HasFailure(); ++round) {
    {
      std::vector<std::string> arguments{"run", data, logs, std::to_string(round)};
      if (!key.empty()) arguments.push_back(key);
      Worker worker(arguments);
      ASSERT_TRUE(worker.WaitUntilReady());
      std::this_thread::sleep_for(std::chrono::milliseconds(20 + random() % 400));
      worker.Kill();
    }
    auto engine = OpenLocalEngine(Options(data));
    ASSERT_TRUE(engine.ok()) << engine.error().ToString();
    if (!key.empty()) {
      ASSERT_TRUE((*engine)->Unlock(1, SecretBytes(key)).ok());
    }
    FileSystem& fs = **(*engine)->GetFileSystem(1);
    // All rounds so far: an older one must not suffer from a later crash.
    for (uint64_t i = round >= 2 ? round - 2 : 0; i <= round; ++i) {
      VerifyRound(fs, logs, i, &operations);
    }
  }
  EXPECT_GT(operations, 100u);
}

TEST(LocalCrash, WhatWasAcknowledgedSurvivesKill) {
  KillOften(12, "");
}

TEST(LocalCrash, WhatWasAcknowledgedIsEncryptedAndSurvivesKill) {
  KillOften(6, std::string(kKeyBytes, 'k'));
}

TEST(LocalCrash, AFullDiskLosesNothing) {
  TestDirectory directory;
  Worker worker({"full", directory.path()});
  int status = worker.Wait();
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(LocalCrash, TheDirectoryOfARunningProcessIsInUse) {
  TestDirectory directory;
  std::string data = directory.path() + "/data";
  Worker worker({"run", data, directory.path(), "1"});
  ASSERT_TRUE(worker.WaitUntilReady());
  auto second = OpenLocalEngine(Options(data));
  ASSERT_EQ(second.code(), Code::kInUse);
  EXPECT_NE(second.error().message().find(data), std::string::npos);
  EXPECT_NE(second.error().message().find("process"), std::string::npos);
  worker.Kill();
  EXPECT_TRUE(OpenLocalEngine(Options(data)).ok());
}

}  // namespace
}  // namespace tarn::local
