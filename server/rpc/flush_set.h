// Connections with replies that their sockets did not take at once.
//
// Threads: Add and Remove from any, with the connection's mutex held; Drain and Oldest from the
// server's own thread. Lock order: a connection's mutex, then this one's.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace tarn::rpc {

class Connection;

class FlushSet {
 public:
  FlushSet();
  ~FlushSet();
  FlushSet(const FlushSet&) = delete;
  FlushSet& operator=(const FlushSet&) = delete;

  // An epoll set that is readable when Drain has work; -1 when the system gave none.
  int fd() const { return fd_; }
  // Keeps the connection alive until Remove.
  void Add(std::shared_ptr<Connection> connection);
  void Remove(const Connection& connection);
  // Sends what the sockets take now; never waits.
  void Drain();
  std::vector<std::shared_ptr<Connection>> All();
  // Lets go of all; for the server's end, when nothing is added any more.
  void Clear();

 private:
  const int fd_;
  std::mutex mutex_;
  std::unordered_map<uint64_t, std::shared_ptr<Connection>> connections_;  // guarded by mutex_
};

}  // namespace tarn::rpc
