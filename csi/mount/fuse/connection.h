// Connection: ONC RPC (RFC 5531) to one NFS server over one TCP connection that is made again for
// ever, so that a server that is away is only a pause.
//
// Threads: any number at once. There is no thread of its own: of the threads that wait for replies,
// one reads the socket and hands the others their replies, which saves the lone caller a switch.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "csi/mount/fuse/compound.h"

namespace tarn::fuse {

struct ServerAddress {
  std::string host;
  uint16_t port = 2049;
};

// On whose behalf a call is made.
struct Caller {
  Credential credential;
  pid_t pid = 0;  // the thread that waits, or 0 for nobody that can be killed

  // Has the process been killed, so that nobody wants the reply any more?
  bool Killed() const;
};

class Connection {
 public:
  // `reconnected` is called, by any thread and with nothing held, after a connection was lost and
  // made again: the server may have restarted.
  explicit Connection(ServerAddress server, std::function<void()> reconnected = {})
      : server_(std::move(server)), reconnected_(std::move(reconnected)) {}
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Sends and waits for the reply, over as many connections as it takes. The results' status is
  // kInterrupted when the caller was killed, kStopped after Stop().
  Results Call(const Caller& caller, const Compound& request);

  // One try to connect, for a first mount: an empty string, or why not.
  std::string Probe();

  // Ends every call, now and later.
  void Stop();
  int outstanding() const { return outstanding_.load(std::memory_order_relaxed); }

 private:
  struct Pending;
  using Lock = std::unique_lock<std::mutex>;

  Results Wait(Lock& lock, Pending& call, const Caller& caller);
  bool Send(Lock& lock, Pending& call);
  void Connect(Lock& lock);
  void Drop(uint64_t generation);
  void ReadOne(Lock& lock);
  void Dispatch(std::unique_ptr<char[]> record, size_t size);
  void PromoteReader(const Pending* except);
  bool FillRecord(int fd, std::unique_ptr<char[]>& record, size_t& size, bool& broken);
  bool Take(int fd, char* to, size_t want, size_t& got, bool& broken);

  const ServerAddress server_;
  const std::function<void()> reconnected_;
  std::atomic<int> outstanding_{0};

  std::mutex mutex_;
  std::condition_variable connected_;
  std::unordered_map<uint32_t, Pending*> pending_;
  std::shared_ptr<struct Socket> socket_;
  uint64_t generation_ = 0;  // of connections; a call sent over an older one is sent again
  uint32_t next_xid_ = 0;
  bool connecting_ = false;
  bool reading_ = false;
  bool stopped_ = false;
  int failures_ = 0;  // in a row, to connect

  std::mutex send_mutex_;

  // The reader's: what has arrived of the next record.
  static constexpr size_t kInputBytes = 16U << 10;
  std::unique_ptr<char[]> input_;
  size_t input_at_ = 0;
  size_t input_end_ = 0;
  char marker_[4] = {};
  size_t marker_got_ = 0;
  std::unique_ptr<char[]> record_;
  size_t record_size_ = 0;
  size_t record_got_ = 0;
  bool last_fragment_ = false;
};

}  // namespace tarn::fuse
