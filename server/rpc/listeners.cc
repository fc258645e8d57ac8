#include "server/rpc/listeners.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "common/log.h"

namespace tarn::rpc {
namespace {

// A dead peer is noticed after 60 + 6 x 10 s of silence.
constexpr int kKeepaliveIdleSeconds = 60;
constexpr int kKeepaliveIntervalSeconds = 10;
constexpr int kKeepaliveProbes = 6;

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

Result<Address> ParseAddress(const std::string& text, uint16_t port) {
  Address address;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
  if (inet_pton(AF_INET, text.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    address.size = sizeof(*v4);
    return address;
  }
  if (inet_pton(AF_INET6, text.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    address.size = sizeof(*v6);
    return address;
  }
  return Error(Code::kInvalid,
               "address '" + text + "': give a numeric IPv4 or IPv6 address, such as 0.0.0.0");
}

uint16_t PortOf(const sockaddr_storage& storage) {
  return ntohs(storage.ss_family == AF_INET6
                   ? reinterpret_cast<const sockaddr_in6&>(storage).sin6_port
                   : reinterpret_cast<const sockaddr_in&>(storage).sin_port);
}

std::string TextOf(const sockaddr_storage& storage) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (storage.ss_family == AF_INET6) {
    const in6_addr& ip = reinterpret_cast<const sockaddr_in6&>(storage).sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&ip)) {
      inet_ntop(AF_INET, &ip.s6_addr[12], text.data(), text.size());
    } else {
      inet_ntop(AF_INET6, &ip, text.data(), text.size());
    }
  } else {
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(storage).sin_addr, text.data(),
              text.size());
  }
  return text.data();
}

void SetFlag(int fd, int level, int option, int value) {
  setsockopt(fd, level, option, &value, sizeof(value));
}

void TuneConnection(int fd) {
  SetFlag(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  SetFlag(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  SetFlag(fd, IPPROTO_TCP, TCP_KEEPIDLE, kKeepaliveIdleSeconds);
  SetFlag(fd, IPPROTO_TCP, TCP_KEEPINTVL, kKeepaliveIntervalSeconds);
  SetFlag(fd, IPPROTO_TCP, TCP_KEEPCNT, kKeepaliveProbes);
}

Error Failed(const std::string& address, uint16_t port) {
  return Error(Code::kUnavailable, "cannot listen on " + address + " port " + std::to_string(port) +
                                       ": " + std::strerror(errno));
}

}  // namespace

int StartConnecting(const std::string& address, uint16_t port) {
  auto to = ParseAddress(address, port);
  if (!to.ok() || port == 0) return -1;
  int fd = socket(to->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  TuneConnection(fd);
  int done = connect(fd, reinterpret_cast<const sockaddr*>(&to->storage), to->size);
  if (done == 0 || errno == EINPROGRESS) return fd;
  close(fd);
  return -1;
}

Result<Listeners::Opened> Listeners::Open(const std::string& address, uint16_t port, uint64_t tag) {
  TRY(Address where, ParseAddress(address, port));
  std::lock_guard lock(mutex_);
  if (listeners_.size() >= kListenersMax) {
    return Error(Code::kLimitExceeded,
                 "listeners: there are " + std::to_string(kListenersMax) + " already");
  }
  int fd = socket(where.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return Failed(address, port);
  SetFlag(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (where.storage.ss_family == AF_INET6) SetFlag(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
  auto* name = reinterpret_cast<sockaddr*>(&where.storage);
  if (bind(fd, name, where.size) != 0 || listen(fd, kBacklog) != 0 ||
      getsockname(fd, name, &where.size) != 0) {
    Error error = Failed(address, port);
    close(fd);
    return error;
  }
  Opened opened{.id = next_id_++, .port = PortOf(where.storage)};
  const Listener& made = listeners_[opened.id] = {.fd = fd, .tag = tag};
  Watch(opened.id, made, EPOLLIN, EPOLL_CTL_ADD);
  return opened;
}

void Listeners::Watch(uint64_t id, const Listener& listener, uint32_t events, int operation) const {
  epoll_event event{.events = events, .data = {.u64 = id}};
  epoll_ctl(epoll_, operation, listener.fd, &event);
}

void Listeners::Close(uint64_t id) {
  std::lock_guard lock(mutex_);
  auto found = listeners_.find(id);
  if (found == listeners_.end()) return;
  close(found->second.fd);
  listeners_.erase(found);
}

void Listeners::CloseAll() {
  std::lock_guard lock(mutex_);
  for (const auto& [id, listener] : listeners_) close(listener.fd);
  listeners_.clear();
}

void Listeners::Accept(uint64_t id, const Visitor& visit) {
  std::lock_guard lock(mutex_);
  auto found = listeners_.find(id);
  if (found == listeners_.end()) return;
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    sockaddr_storage from{};
    socklen_t size = sizeof(from);
    int fd = accept4(found->second.fd, reinterpret_cast<sockaddr*>(&from), &size,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        spdlog::warn("cannot accept a connection: {}; trying again soon", std::strerror(errno));
        Watch(id, found->second, 0, EPOLL_CTL_MOD);
        resting_ = true;
        return;
      }
      // The peer gave up meanwhile (ECONNABORTED), or a network error of its: the next may be fine.
      if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINVAL) return;
      continue;
    }
    TuneConnection(fd);
    Peer peer{.connection = 0,
              .address = TextOf(from),
              .port = PortOf(from),
              .listener = found->second.tag};
    visit(fd, std::move(peer), id);
  }
}

void Listeners::Resume() {
  std::lock_guard lock(mutex_);
  resting_ = false;
  for (const auto& [id, listener] : listeners_) Watch(id, listener, EPOLLIN, EPOLL_CTL_MOD);
}

}  // namespace tarn::rpc
