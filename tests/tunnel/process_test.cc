// tarn-tunnel as a process: death, upgrade, start errors, and what it must not tell anybody.
#include <gmock/gmock.h>

#include <csignal>

#include "common/sanitized.h"
#include "tests/tunnel/world.h"

namespace tarn::tunnel {
namespace {

using daemon::ServerProcess;
using testing::HasSubstr;
using testing::Not;

class Process : public testing::Test {
 protected:
  std::unique_ptr<ServerProcess> Start(std::vector<std::string> more = {}) {
    std::vector<std::string> arguments{"--state-dir",   place_.state(), "--socket",
                                       place_.socket(), "--loopback",   Place::Loopback()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    auto started = std::make_unique<ServerProcess>(TARN_TUNNEL, arguments);
    EXPECT_TRUE(Eventually([&] { return Serves(*started); })) << started->Output();
    return started;
  }
  static bool Serves(const ServerProcess& process) {
    return process.Output().find(" serves ") != std::string::npos;
  }
  static bool Answers(int fd) {
    return SendAll(fd, NullCall(1)) &&
           ReceiveExactly(fd, kNullReplyBytes).size() == kNullReplyBytes;
  }

  Place place_;
  FileServer server_;
};

TEST_F(Process, AKilledOneIsFollowedAtTheSameAddress) {
  auto first = Start();
  auto at = TunnelClient(place_.socket()).Open(RequestFor(server_, "pod-1")).value();
  ASSERT_TRUE(Answers(ConnectTo(at).get()));
  first->Signal(SIGKILL);
  first->Wait();
  EXPECT_FALSE(ConnectTo(at).open());
  auto second = Start();
  EXPECT_TRUE(Answers(ConnectTo(at).get()));
}

#if !TARN_SANITIZED  // sanitizers need more system calls
TEST_F(Process, EachOfItsThreadsIsRestricted) {
  auto tunnel = Start();
  auto at = TunnelClient(place_.socket()).Open(RequestFor(server_, "pod-1")).value();
  ASSERT_TRUE(Answers(ConnectTo(at).get()));
  EXPECT_EQ(daemon::OfThreads(tunnel->pid(), "Seccomp"), std::set<std::string>{"2"});
  EXPECT_EQ(daemon::OfThreads(tunnel->pid(), "NoNewPrivs"), std::set<std::string>{"1"});
}
#endif

TEST_F(Process, TheNextOneTakesOverAndTheFirstEnds) {
  auto first = Start();
  auto at = TunnelClient(place_.socket()).Open(RequestFor(server_, "pod-1")).value();
  Fd client = ConnectTo(at);
  ASSERT_TRUE(Answers(client.get()));
  auto second = Start();
  EXPECT_EQ(first->Wait(), 0);
  EXPECT_TRUE(Answers(client.get()));
  second->Signal(SIGTERM);
  EXPECT_EQ(second->Wait(), 0);
  EXPECT_TRUE(Closed(client.get()));
}

// Under a supervisor that would start it again, the first one waits, and takes nothing back.
TEST_F(Process, TheFirstWaitsForItsSignalWhenItIsTold) {
  auto first = Start({"--wait-after-hand-over"});
  auto at = TunnelClient(place_.socket()).Open(RequestFor(server_, "pod-1")).value();
  auto second = Start();
  Fd client = ConnectTo(at);
  ASSERT_TRUE(Answers(client.get()));
  usleep(1'200'000);  // its tick
  EXPECT_EQ(kill(first->pid(), 0), 0);
  first->Signal(SIGTERM);
  EXPECT_EQ(first->Wait(), 0);
  EXPECT_TRUE(Answers(client.get()));
}

// And it has let go: the one that took over may be followed too, while the first still waits.
TEST_F(Process, TheThirdServesWhileTheFirstWaits) {
  auto first = Start({"--wait-after-hand-over"});
  auto at = TunnelClient(place_.socket()).Open(RequestFor(server_, "pod-1")).value();
  auto second = Start();
  second->Signal(SIGKILL);
  second->Wait();
  auto third = Start();
  EXPECT_TRUE(Answers(ConnectTo(at).get()));
  EXPECT_EQ(TunnelClient(place_.socket()).List().mounts_size(), 1);
  EXPECT_EQ(kill(first->pid(), 0), 0);
  first->Signal(SIGTERM);
  EXPECT_EQ(first->Wait(), 0);
  EXPECT_TRUE(Answers(ConnectTo(at).get()));
}

TEST_F(Process, TellsNoSecret) {
  auto process = Start({"--log-level", "trace"});
  auto request = RequestFor(server_, "pod-1");
  auto at = TunnelClient(place_.socket()).Open(request).value();
  ASSERT_TRUE(Answers(ConnectTo(at).get()));
  auto broken = RequestFor(server_, "pod-2");
  broken.set_private_key_pem(request.private_key_pem());
  EXPECT_FALSE(TunnelClient(place_.socket()).Open(broken).ok());
  // A line from the middle of the key's text.
  const std::string& key = request.private_key_pem();
  std::string line = key.substr(key.find('\n') + 1, 60);
  std::string proc = "/proc/" + std::to_string(process->pid());
  for (const std::string& text : {process->Output(), FileText(proc + "/cmdline")}) {
    EXPECT_THAT(text, Not(HasSubstr(line)));
    EXPECT_THAT(text, Not(HasSubstr("PRIVATE KEY")));
  }
  EXPECT_THAT(FileText(proc + "/limits"), testing::ContainsRegex("Max core file size +0 +0 "));
}

TEST_F(Process, WhatItCannotUseIsNamed) {
  auto refused = [](std::vector<std::string> arguments, const std::string& words) {
    ServerProcess process(TARN_TUNNEL, std::move(arguments));
    EXPECT_NE(process.Wait(), 0);
    EXPECT_THAT(process.Output(), HasSubstr(words));
  };
  refused({"--state-dir", "/proc/none", "--socket", place_.socket()}, "--state-dir");
  refused({"--state-dir", place_.state(), "--socket", "relative"}, "relative");
  refused({"--state-dir", place_.state(), "--loopback", "nowhere"}, "--loopback");
  refused({"--state-dir", place_.state(), "--log-level", "loud"}, "--log-level");
}

}  // namespace
}  // namespace tarn::tunnel
