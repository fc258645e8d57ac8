// Client: calls to one server over several connections, repeated while the server says "later".
//
// Threads: any.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "csi/mount/fuse/connection.h"

namespace tarn::fuse {

// How long to wait before asking again: doubles from a minimum to a maximum.
struct Backoff {
  std::chrono::milliseconds next{10};
  std::chrono::milliseconds max{500};
};

class Client {
 public:
  static constexpr int kConnectionsMax = 16;

  // Connections are made when they are first needed. `reconnected`: see Connection.
  Client(const ServerAddress& server, int connections, const std::function<void()>& reconnected);

  // One call.
  Results Once(const Caller& caller, const Compound& request);
  // Repeats it while the server answers DELAY or GRACE. `retransmitted` of the results is true also
  // when an earlier try may have had its effect. Not for operations with a seqid.
  Results Run(const Caller& caller, const Compound& request);

  // Sleeps for the next pause; false when the caller was killed or the client stopped.
  bool Pause(const Caller& caller, Backoff& backoff);
  // kStopped or kInterrupted: why Pause returned false.
  Status WhyNot() const { return stopped_ ? kStopped : kInterrupted; }

  std::string Probe() { return connections_.front()->Probe(); }
  void Stop();
  bool stopped() const { return stopped_; }

 private:
  Connection& Pick();
  std::vector<std::unique_ptr<Connection>> connections_;
  std::atomic<bool> stopped_{false};
  std::mutex mutex_;
  std::condition_variable stop_;
};

}  // namespace tarn::fuse
