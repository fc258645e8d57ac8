// A dialer that is told to begin again while it is at work.
#include "tunnel/dialer.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <atomic>

#include "tests/tunnel/world.h"

namespace tarn::tunnel {
namespace {

using std::chrono::hours;

class Owner : public Dialer::Owner {
 public:
  void OnDialed(std::unique_ptr<Link> link) override {
    link_ = std::move(link);
    dialed = true;
  }
  bool OnRoundFailed(const std::string&) override {
    failed = true;
    return false;
  }
  void Drop() { link_.reset(); }
  std::atomic<bool> dialed{false}, failed{false};

 private:
  std::unique_ptr<Link> link_;
};

// A server that takes connections and never answers.
class SilentServer {
 public:
  SilentServer() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t bytes = sizeof at;
    EXPECT_EQ(bind(fd_.get(), reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    EXPECT_EQ(listen(fd_.get(), 1), 0);
    getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&at), &bytes);
    address_ = "127.0.0.1:" + std::to_string(ntohs(at.sin_port));
  }
  const std::string& address() const { return address_; }
  // In the middle of the handshake.
  Fd Accept() const {
    Fd client(accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    timeval wait{.tv_sec = 20, .tv_usec = 0};
    setsockopt(client.get(), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    EXPECT_EQ(ReceiveExactly(client.get(), 16).size(), 16u);
    return client;
  }

 private:
  Fd fd_;
  std::string address_;
};

TEST(DialerTest, OneAtWorkBeginsAgain) {
  FileServer server;
  SilentServer silent;
  auto request = RequestFor(server, "pod-1");
  auto settings = CheckSettings(request).value();
  request.set_servers(0, silent.address());
  auto silence = CheckSettings(request).value();
  const Times times = ShortTimes();
  Owner owner;
  Resolver resolver;
  auto loop = Loop::Start(0).value();
  auto dialer = std::make_unique<Dialer>(*loop, resolver, times, owner);
  loop->Run([&] { dialer->Start(silence); });
  Fd client = silent.Accept();
  loop->Run([&] { dialer->Start(settings, hours{1}); });
  // The connection of before is given up, and its end is no failure of the server that is next.
  char bytes[4096];
  ssize_t got = 0;
  do {
    got = recv(client.get(), bytes, sizeof bytes, 0);
  } while (got > 0);
  EXPECT_EQ(got, 0);
  client.Close();
  loop->Run([&] { EXPECT_FALSE(owner.failed); });
  loop->Run([&] { dialer->Start(settings); });
  EXPECT_TRUE(Eventually([&] { return owner.dialed.load(); }));
  EXPECT_FALSE(owner.failed);
  loop->Run([&] {
    owner.Drop();
    dialer.reset();
  });
}

}  // namespace
}  // namespace tarn::tunnel
