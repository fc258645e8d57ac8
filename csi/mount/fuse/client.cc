#include "csi/mount/fuse/client.h"

#include <algorithm>

namespace tarn::fuse {

Client::Client(const ServerAddress& server, int connections,
               const std::function<void()>& reconnected) {
  connections = std::clamp(connections, 1, kConnectionsMax);
  for (int i = 0; i < connections; ++i) {
    connections_.push_back(std::make_unique<Connection>(server, reconnected));
  }
}

Connection& Client::Pick() {
  Connection* best = connections_.front().get();
  for (auto& connection : connections_) {
    if (connection->outstanding() < best->outstanding()) best = connection.get();
  }
  return *best;
}

Results Client::Once(const Caller& caller, const Compound& request) {
  return Pick().Call(caller, request);
}

Results Client::Run(const Caller& caller, const Compound& request) {
  Backoff backoff;
  bool again = false;
  for (;;) {
    Results results = Once(caller, request);
    again = again || results.retransmitted;
    Status status = results.Peek();
    if (status == NFS4ERR_DELAY || status == NFS4ERR_GRACE) {
      again = again || results.several();
      if (!Pause(caller, backoff)) return Results(WhyNot());
      continue;
    }
    results.retransmitted = again;
    return results;
  }
}

bool Client::Pause(const Caller& caller, Backoff& backoff) {
  std::unique_lock lock(mutex_);
  stop_.wait_for(lock, backoff.next, [this] { return stopped_.load(); });
  backoff.next = std::min(backoff.max, backoff.next * 2);
  return !stopped_ && !caller.Killed();
}

void Client::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  stop_.notify_all();
  for (auto& connection : connections_) connection->Stop();
}

}  // namespace tarn::fuse
