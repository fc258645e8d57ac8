// Calls that the server makes itself (RFC 5531): to a client over the connection that this client
// made, beside the replies to it (RFC 8881 section 2.10.3.1), or over one that the server opens
// (RFC 7530 section 3.3.3).
//
// Nobody waits: a call goes out like a reply, and what comes of it is told to its `done`. Replies
// are matched by xid. Threads: any. `done` runs once, on a worker or the server's own thread, with
// no lock of this module held; like a quick call, it must not wait.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "server/rpc/program.h"

namespace tarn::rpc {

class Connection;

enum class CallOutcome {
  kReply,     // SUCCESS: `results` are the procedure's own bytes
  kRefused,   // the peer answered that it does not take such a call
  kNoAnswer,  // not in time; a later answer is dropped
  kClosed,    // the connection ended first
};

class CallChannel {
 public:
  static constexpr size_t kPendingMax = 128;  // calls without an answer on one connection

  // `results` are valid during the call only.
  using Done = std::function<void(CallOutcome outcome, xdr::Opaque results)>;
  struct Request {
    uint32_t program = 0;
    uint32_t version = 0;
    uint32_t procedure = 0;
    auth_flavor flavor = AUTH_NONE;
    xdr::Opaque credential;  // the body that belongs to the flavor
    xdr::Opaque arguments;
    std::chrono::milliseconds timeout{0};  // for the answer; it is looked at about once a second
    Done done;
  };

  explicit CallChannel(Connection& connection) : connection_(&connection) {}

  // False: the connection has ended or kPendingMax was reached, and `done` will not be called.
  bool Send(const Request& request);
  bool open();
  // Ends the connection: for one that the server opened.
  void Close();

  // --- the RPC server only ---
  // False for bytes that are no reply. One that answers nothing is dropped.
  bool TakeReply(xdr::Opaque record);
  void Expire(std::chrono::steady_clock::time_point now);
  void Detach();

 private:
  struct Pending {
    std::chrono::steady_clock::time_point deadline;
    Done done;
  };

  std::mutex mutex_;  // before the connection's; guards what follows
  Connection* connection_;
  uint32_t next_xid_ = 1;
  std::unordered_map<uint32_t, Pending> pending_;
};

// Opens connections to clients that have an address for callbacks (4.0). Outlives the server that
// made it; then nothing can be dialed any more.
class Dialer {
 public:
  virtual ~Dialer() = default;
  // `address` is numeric. Never waits: the connection is still being made when this returns, and
  // what is sent goes out once it is there. Null: no address, the server ends, or has no room.
  virtual std::shared_ptr<CallChannel> Dial(const std::string& address, uint16_t port) = 0;
};

}  // namespace tarn::rpc
