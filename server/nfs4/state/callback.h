// Calls from the server to one client: CB_NULL and CB_COMPOUND (RFC 7530 section 15, RFC 8881
// sections 2.10.3.1, 2.10.6 and 20).
//
// In 4.1 and later they go over a connection that a session's back channel is bound to, in a slot
// of that channel and behind CB_SEQUENCE; in 4.0 over a connection that the server opens to the
// address which the client gave with SETCLIENTID. One Callbacks belongs to each Client:
//
//   client->callbacks->Send(OP_CB_OFFLOAD, CB_OFFLOAD4args{...},
//                           [](const CallbackAnswer& answer) { ... });
//
// Nobody ever waits. What cannot be sent now, because no path is there or the client said
// NFS4ERR_DELAY, is tried again until it is given up. An operation may so reach the client twice
// when its answer was lost.
//
// Threads: any. `done` is called exactly once, from any thread and with no lock held; it must not
// wait for a disk, and may call Send.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "api/nfs4.h"
#include "api/rpc.h"
#include "common/clock.h"
#include "server/rpc/call_channel.h"

namespace tarn::nfs4 {

struct CallbackAnswer {
  // The operation's own, from the client. NFS4ERR_CB_PATH_DOWN: it was not reached in time.
  nfsstat4 status = NFS4ERR_CB_PATH_DOWN;
  // The operation's result from its status on, such as a CB_GETATTR4res; empty if none came. Valid
  // during the call only.
  xdr::Opaque result;
};
using CallbackDone = std::function<void(const CallbackAnswer&)>;

// The request whose answer told the client of what a callback is about (RFC 8881 section 20.9.3):
// with it, a client that gets the callback first knows what to wait for.
struct ReferringCall {
  sessionid4 session{};
  uint32_t slot = 0;
  uint32_t sequence = 0;
};

struct CallbackOptions {
  std::chrono::seconds give_up{30};
  std::optional<ReferringCall> referring;  // 4.1
};

// How the client wants to be called: its program, and one of AUTH_NONE and AUTH_SYS.
struct CallbackProgram {
  uint32_t number = 0;
  rpc::auth_flavor flavor = rpc::AUTH_NONE;
  std::vector<std::byte> credential;
};

// What CREATE_SESSION says of a back channel; kept over a restart.
struct BackChannelTerms {
  uint32_t minor = 1;
  CallbackProgram program;
  bool usable = true;   // false: no security flavor that we speak
  bool wanted = false;  // the client has bound a connection to it
  channel_attrs4 attributes;
};

// 4.0: where SETCLIENTID says that the client listens. Nobody to call if there is no dialer.
struct CallbackAddress {
  std::shared_ptr<rpc::Dialer> dialer;
  std::string address;  // numeric
  uint16_t port = 0;
  uint32_t ident = 0;
  CallbackProgram program;
};

// A session's back channel. Members are guarded by the mutex of its client's Callbacks.
struct BackChannel {
  struct Slot {
    uint32_t sequence = 0;  // of the last call that the client has seen for sure
    bool busy = false;
  };
  sessionid4 session{};
  BackChannelTerms terms;
  std::vector<Slot> slots;
  uint32_t slot_limit = 1;  // as the client wants it: csr_target_highest_slotid + 1
  std::vector<std::shared_ptr<rpc::CallChannel>> paths;
  // Wanted, and no path is open: SEQ4_STATUS_CB_PATH_DOWN_SESSION. Looked at without the mutex.
  std::atomic<bool> down{false};
  // The client counts a slot otherwise than we do: SEQ4_STATUS_BACKCHANNEL_FAULT.
  std::atomic<bool> fault{false};
};

class Callbacks : public std::enable_shared_from_this<Callbacks> {
 public:
  // Callbacks that wait for a path, a slot or an answer; one more is refused at once.
  static constexpr size_t kQueuedMax = 8192;
  static constexpr uint32_t kSlotsMax = 16;  // of one back channel that are used
  static constexpr size_t kPathsMax = 16;    // connections bound to one back channel
  static constexpr std::chrono::seconds kAnswerTimeout{10};  // of one transmission
  static constexpr std::chrono::milliseconds kDelayed{500};  // after NFS4ERR_DELAY
  static constexpr std::chrono::seconds kAskAgain{5};        // a path that failed
  static constexpr std::chrono::seconds kGiveUp{30};         // if nothing else is said

  explicit Callbacks(const Clock& clock) : clock_(clock) {}
  ~Callbacks();
  Callbacks(const Callbacks&) = delete;
  Callbacks& operator=(const Callbacks&) = delete;

  // Sends one operation. `args` is encoded at once.
  template <typename Args>
  void Send(nfs_cb_opnum4 op, const Args& args, CallbackDone done,
            const CallbackOptions& options = {}) {
    xdr::Encoder to;
    Encode(to, args);
    SendBytes(op, to.Flatten(), std::move(done), options);
  }

  // Is there a path that is known to work? Asks the client by CB_NULL if that is not known yet.
  bool Ready();
  // Has no path although the client wants to have one: SEQ4_STATUS_CB_PATH_DOWN.
  bool path_down() const { return path_down_.load(std::memory_order_relaxed); }

  // --- where it leads ---
  // 4.0. What was dialed before is closed.
  void SetAddress(CallbackAddress address);
  // 4.1. A session's back channel, and one connection more for it.
  std::shared_ptr<BackChannel> AddSession(const sessionid4& session, BackChannelTerms terms);
  void Bind(BackChannel& back, std::shared_ptr<rpc::CallChannel> path);
  // BACKCHANNEL_CTL.
  void SetProgram(BackChannel& back, CallbackProgram program);
  void EndSession(const sessionid4& session);

  // Forgets paths that ended, sends what waits, gives up what waited too long. About once a second.
  void Tick();
  // The client is gone: what waits is given up.
  void Abandon();

 private:
  struct Pending {
    nfs_cb_opnum4 op{};  // unused for CB_NULL
    bool null = false;
    std::vector<std::byte> args;
    CallbackDone done;
    std::optional<ReferringCall> referring;
    std::chrono::nanoseconds not_before{};
    std::chrono::nanoseconds give_up_at{};
  };
  using PendingPtr = std::shared_ptr<Pending>;
  // Where a call goes out: with its slot, in 4.1.
  struct Route {
    std::shared_ptr<rpc::CallChannel> path;
    std::shared_ptr<BackChannel> back;
    uint32_t slot = 0;
  };
  enum class Health { kUnknown, kAsking, kUp, kDown };
  // What a CB_COMPOUND's answer says; `again`: it was not done, and is to be sent once more.
  struct Parsed {
    bool again = false;
    bool seen = false;        // the client counts the slot on
    bool lost_count = false;  // it counts it otherwise than we do
    bool no_session = false;
    std::chrono::nanoseconds delay{};
    CallbackAnswer answer;
    std::optional<uint32_t> slot_limit;
  };

  void SendBytes(nfs_cb_opnum4 op, std::vector<std::byte> args, CallbackDone done,
                 const CallbackOptions& options);
  // All with mutex_ held:
  void Pump();
  bool FindRoute(const Pending& pending, Route& route);
  bool Route40(Route& route);
  bool Transmit(const PendingPtr& pending, const Route& route);
  std::vector<std::byte> Compound(const Pending& pending, const Route& route) const;
  void Ask();
  void UpdatePaths();
  void DropPath(const Route& route);
  void TakeParsed(const Parsed& parsed, const Route& route);

  static Parsed Parse(bool with_sequence, uint32_t slot, xdr::Opaque results);
  static bool ParseSequence(xdr::Decoder& from, uint32_t slot, Parsed& parsed);
  void Answered(const PendingPtr& pending, const Route& route, rpc::CallOutcome outcome,
                xdr::Opaque results);

  const Clock& clock_;
  std::atomic<bool> path_down_{false};
  std::mutex mutex_;  // guards what follows
  bool abandoned_ = false;
  std::list<PendingPtr> queue_;
  size_t in_flight_ = 0;
  Health health_ = Health::kUnknown;
  std::chrono::nanoseconds ask_after_{};  // a path that failed is not asked again before
  std::vector<std::shared_ptr<BackChannel>> backs_;
  // 4.0:
  CallbackAddress address_;
  std::shared_ptr<rpc::CallChannel> dialed_;
};

}  // namespace tarn::nfs4
