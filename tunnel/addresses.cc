#include "tunnel/addresses.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

#include "common/text.h"
#include "tunnel/limits.h"

namespace tarn::tunnel {
namespace {

constexpr int kBacklog = 128;
constexpr uint32_t kPorts = kLastPort - kFirstPort + 1;

// errno says why it is not open.
Fd ListenOn(const LocalAddress& at) {
  Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(at.port);
  int one = 1;
  if (!fd.open() || inet_pton(AF_INET, at.address.c_str(), &to.sin_addr) != 1) return Fd();
  // Connections of a process that died must not keep its address.
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) return Fd();
  if (listen(fd.get(), kBacklog) != 0) return Fd();
  return fd;
}

}  // namespace

Addresses::Addresses(const std::string& first, uint32_t start) : next_(start % kPorts) {
  constexpr uint32_t kLoopbackNet = 127u << 24;
  in_addr parsed{};
  bool ok = inet_pton(AF_INET, first.c_str(), &parsed) == 1;
  first_ = ntohl(parsed.s_addr);
  if (ok && (first_ & 0xff000000u) == kLoopbackNet) return;
  inet_pton(AF_INET, kFirstLoopback, &parsed);
  first_ = ntohl(parsed.s_addr);
}

Result<Addresses::Taken> Addresses::TakeAny() {
  for (uint32_t i = 0; i < kPorts * kLoopbackAddresses; ++i) {
    const uint32_t place = next_;
    next_ = (next_ + 1) % (kPorts * kLoopbackAddresses);
    in_addr address{htonl(first_ + place / kPorts)};
    char text[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &address, text, sizeof text);
    LocalAddress at{text, static_cast<uint16_t>(kFirstPort + place % kPorts)};
    if (taken_.contains({at.address, at.port})) continue;
    Fd fd = ListenOn(at);
    if (fd.open()) {
      Reserve(at);
      return Taken{at, std::move(fd)};
    }
    if (errno != EADDRINUSE) {
      return Error(Code::kUnavailable, "cannot listen on " + JoinHostPort(at.address, at.port) +
                                           ": " + std::strerror(errno));
    }
  }
  return Error(Code::kLimitExceeded, "no loopback address is left for a mount");
}

Result<Fd> Addresses::Take(const LocalAddress& at) {
  Reserve(at);
  Fd fd = ListenOn(at);
  if (fd.open()) return fd;
  return Error(Code::kInUse, "cannot listen on " + JoinHostPort(at.address, at.port) + ": " +
                                 std::strerror(errno));
}

}  // namespace tarn::tunnel
