#include "server/rpc/flush_set.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <array>

#include "server/rpc/connection.h"

namespace tarn::rpc {

FlushSet::FlushSet() : fd_(epoll_create1(EPOLL_CLOEXEC)) {}

FlushSet::~FlushSet() {
  if (fd_ >= 0) close(fd_);
}

void FlushSet::Add(std::shared_ptr<Connection> connection) {
  std::lock_guard lock(mutex_);
  epoll_event event{.events = EPOLLOUT, .data = {.u64 = connection->peer().connection}};
  epoll_ctl(fd_, EPOLL_CTL_ADD, connection->fd(), &event);
  uint64_t id = connection->peer().connection;
  connections_.emplace(id, std::move(connection));
}

void FlushSet::Remove(const Connection& connection) {
  std::lock_guard lock(mutex_);
  epoll_ctl(fd_, EPOLL_CTL_DEL, connection.fd(), nullptr);
  connections_.erase(connection.peer().connection);
}

void FlushSet::Drain() {
  std::array<epoll_event, 64> events;
  int count = epoll_wait(fd_, events.data(), events.size(), 0);
  for (int i = 0; i < count; ++i) {
    std::shared_ptr<Connection> connection;
    {
      std::lock_guard lock(mutex_);
      uint64_t id = events[static_cast<size_t>(i)].data.u64;  // no reference to it: it is packed
      auto found = connections_.find(id);
      if (found != connections_.end()) connection = found->second;
    }
    if (connection) connection->Flush();
  }
}

std::vector<std::shared_ptr<Connection>> FlushSet::All() {
  std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<Connection>> all;
  all.reserve(connections_.size());
  for (const auto& [id, connection] : connections_) all.push_back(connection);
  return all;
}

void FlushSet::Clear() {
  std::unordered_map<uint64_t, std::shared_ptr<Connection>> gone;
  std::lock_guard lock(mutex_);
  gone.swap(connections_);
}

}  // namespace tarn::rpc
