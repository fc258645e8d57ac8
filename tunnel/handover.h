// Hand-over: a new process takes the mounts of the running one, and no client is refused or sees an
// error (handover.proto).
//
// Listeners are shared before the old process lets go of them, so that there is always one who
// takes clients. A client's connection goes over when no call is outstanding on it; one that stays
// busy for longer than Times::hand_over is closed, and its client comes again.
#pragma once

#include <sys/un.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tunnel/handover.pb.h"
#include "tunnel/mounts.h"

namespace tarn::tunnel {

inline constexpr uint32_t kHandOverVersionMin = 1;
inline constexpr uint32_t kHandOverVersionMax = 1;
// For each packet that is waited for. The longest wait is for the new process to open all mounts;
// one that dies meanwhile is noticed at once.
inline constexpr std::chrono::seconds kHandOverStepMax{60};

// One end of the socket. Blocking; one thread.
class HandOverChannel {
 public:
  explicit HandOverChannel(Fd fd);
  // kNoEntry: nobody listens at `path`.
  static Result<HandOverChannel> Connect(const std::string& path);

  // kUnavailable: the peer is gone, or does not read.
  Result<void> Send(const handover::Packet& packet, int fd = -1);
  struct Received {
    handover::Packet packet;
    Fd fd;
  };
  // kUnavailable: the peer is gone. kDeadlineExceeded. kProtocol: no packet of ours. kWrongState:
  // it is Refused, and why.
  Result<Received> Receive();
  int fd() const { return fd_.get(); }

 private:
  Fd fd_;
  std::vector<char> buffer_;  // of Receive: what a packet needs at the most
};

// Where the running process listens for the next one. kInvalid: `path` is too long for a socket.
Result<sockaddr_un> HandOverAddress(const std::string& path);

// --- the new process ---

struct TakenOver {
  Fd lock;
  std::map<std::string, Fd> listeners;  // by mount id
};
// As far as ListenersEnd.
Result<TakenOver> TakeListeners(HandOverChannel& channel);
// The rest, once the mounts listen. When it returns they are this process's alone.
Result<void> TakeConnections(HandOverChannel& channel, const Mounts& mounts, Carrier& carrier);

// --- the running process ---

class HandOverServer {
 public:
  struct Parts {
    std::string path;
    int lock = -1;
    Carrier& carrier;
    // The management API ends, and begins again when the hand-over failed.
    std::function<void()> stop_managing;
    std::function<void()> resume_managing;
  };
  static Result<std::unique_ptr<HandOverServer>> Start(Parts parts);
  ~HandOverServer();
  // Everything is another process's now.
  bool done() const { return done_; }
  // Another process is here and takes things over, or gives up.
  bool giving() const { return giving_; }

 private:
  explicit HandOverServer(Parts parts) : parts_(std::move(parts)) {}
  void Work();
  Result<void> Give(HandOverChannel& channel);
  Result<void> GiveListeners(HandOverChannel& channel);
  Result<void> GiveConnections(HandOverChannel& channel);

  const Parts parts_;
  Fd listener_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> done_{false};
  std::atomic<bool> giving_{false};
  std::thread thread_;
};

}  // namespace tarn::tunnel
