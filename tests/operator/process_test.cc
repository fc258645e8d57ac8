// tarn-operator as a process, against an API server on a loopback socket: flags, health, the lease
// at SIGTERM, and the end of a leader that lost it.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "common/files.h"
#include "operator/kube/testing/fake_cluster.h"
#include "operator/kube/text.h"

namespace tarn::op {
namespace {

using kube::Json;
using kube::Object;
using kube::Str;
using namespace std::chrono_literals;

const std::string kLeases = "/apis/coordination.k8s.io/v1/namespaces/tarn/leases";

bool Eventually(const std::function<bool()>& check) {
  for (int i = 0; i < 3000; ++i) {
    if (check()) return true;
    std::this_thread::sleep_for(10ms);
  }
  return false;
}

class ProcessTest : public testing::Test {
 protected:
  ProcessTest() : server_(cluster_) {
    char name[] = "/tmp/tarn-operator-process-XXXXXX";
    dir_ = mkdtemp(name);
    Json config = {
        {"current-context", "c"},
        {"contexts", {{{"name", "c"}, {"context", {{"cluster", "c"}, {"user", "u"}}}}}},
        {"clusters",
         {{{"name", "c"},
           {"cluster", {{"server", "http://127.0.0.1:" + std::to_string(server_.port())}}}}}},
        {"users", {{{"name", "u"}, {"user", {{"token", "t"}}}}}}};
    std::ofstream(dir_ + "/config") << config.dump();
  }
  ~ProcessTest() override {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    std::filesystem::remove_all(dir_);
  }

  void Start(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), TARN_OPERATOR);
    std::vector<char*> argv;
    argv.reserve(arguments.size() + 1);
    for (std::string& a : arguments) argv.push_back(a.data());
    argv.push_back(nullptr);
    pid_ = fork();
    if (pid_ != 0) return;
    int log = open((dir_ + "/log").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(log, 1);
    dup2(log, 2);
    execv(argv[0], argv.data());
    _exit(127);
  }
  void StartGood() {
    Start({"--namespace=tarn", "--server-image=tarn:1", "--health-listen=127.0.0.1:0",
           "--kubeconfig=" + dir_ + "/config"});
  }
  // The exit code; -1: it does not end.
  int Ended() {
    int status = 0;
    bool ended = Eventually([&] { return waitpid(pid_, &status, WNOHANG) == pid_; });
    if (ended) pid_ = 0;
    return ended && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  std::string Log() {
    auto text = ReadSmallFile(dir_ + "/log");
    return text.ok() ? *text : "";
  }
  std::string Holder() {
    return Str(Object(cluster_.Find(kLeases, "tarn-operator"), "spec"), "holderIdentity");
  }

  kube::FakeCluster cluster_;
  kube::FakeServer server_;
  std::string dir_;
  pid_t pid_ = 0;
};

TEST_F(ProcessTest, LeadsReconcilesAndGivesTheLeaseUpAtSigterm) {
  StartGood();
  ASSERT_TRUE(Eventually([&] { return !Holder().empty(); })) << Log();
  cluster_.Put("/api/v1/nodes", {{"apiVersion", "v1"},
                                 {"kind", "Node"},
                                 {"metadata", {{"name", "n1"}}},
                                 {"status", {{"addresses", {{{"address", "192.168.1.1"}}}}}}});
  cluster_.Put("/apis/tarn.dev/v1alpha1/namespaces/default/filesystems",
               {{"metadata", {{"name", "shared"}, {"namespace", "default"}}},
                {"spec", {{"storage", {{"size", "1Gi"}}}}}});
  EXPECT_TRUE(Eventually([&] {
    return !cluster_.Find("/apis/apps/v1/namespaces/default/statefulsets", "shared").is_null();
  })) << Log();
  kill(pid_, SIGTERM);
  EXPECT_EQ(Ended(), 0) << Log();
  EXPECT_EQ(Holder(), "");
}

TEST_F(ProcessTest, ALeaderThatLostItsLeaseEnds) {
  StartGood();
  ASSERT_TRUE(Eventually([&] { return !Holder().empty(); })) << Log();
  Json lease = {{"metadata", {{"name", "tarn-operator"}, {"namespace", "tarn"}}},
                {"spec", {{"holderIdentity", "another"}, {"leaseDurationSeconds", 60}}}};
  cluster_.Put(kLeases, lease);
  EXPECT_EQ(Ended(), 1) << Log();
  EXPECT_NE(Log().find("lost the lease"), std::string::npos) << Log();
  EXPECT_EQ(Holder(), "another");
}

TEST_F(ProcessTest, BadFlagsAreNamed) {
  Start({"--namespace=tarn"});
  EXPECT_NE(Ended(), 0);
  EXPECT_NE(Log().find("--server-image"), std::string::npos) << Log();
  Start({"--namespace=tarn", "--server-image=x", "--log-level=loud"});
  EXPECT_EQ(Ended(), 1);
  EXPECT_NE(Log().find("--log-level"), std::string::npos) << Log();
  Start({"--namespace=tarn", "--server-image=x", "--health-listen=nonsense",
         "--kubeconfig=" + dir_ + "/config"});
  EXPECT_EQ(Ended(), 1);
  EXPECT_NE(Log().find("--health-listen"), std::string::npos) << Log();
  Start({"--namespace=tarn", "--server-image=x", "--kubeconfig=/nonexistent"});
  EXPECT_EQ(Ended(), 1);
  EXPECT_NE(Log().find("/nonexistent"), std::string::npos) << Log();
}

}  // namespace
}  // namespace tarn::op
