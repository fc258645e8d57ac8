// Socket: one TCP connection to a server, with its deadlines set.
#pragma once

#include <sys/uio.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

namespace tarn::fuse {

struct ServerAddress;

struct Socket {
 public:
  // Connects within kConnectSeconds; null and `why` when that fails.
  static std::shared_ptr<Socket> Open(const ServerAddress& server, std::string& why);
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket();
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  int fd() const { return fd_; }
  // Sends everything; false when the connection broke. One thread at a time.
  bool Send(const std::vector<iovec>& pieces);
  // Wakes whoever reads or writes; the descriptor lives as long as this.
  void Shutdown();

  std::atomic<bool> fresh{true};  // nothing has been read yet

 private:
  const int fd_;
};

}  // namespace tarn::fuse
