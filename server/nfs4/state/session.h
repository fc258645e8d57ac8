// A session (RFC 8881 section 2.10): slots, each with the one reply that makes its requests happen
// exactly once.
//
// Threads: a slot's mutex guards its members; a request that runs marks its slot busy and owns it
// until Finish, without holding the mutex.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "server/nfs4/state/client.h"

namespace tarn::nfs4 {

// What a fore channel offers at most. A reply cached in a slot is at most kCachedReplyBytesMax, so
// a session keeps kSlotsMax * kCachedReplyBytesMax bytes at the very most.
inline constexpr uint32_t kSlotsMax = 128;
inline constexpr uint32_t kCachedReplyBytesMax = 8192;
inline constexpr uint32_t kOperationsMax = 64;
inline constexpr uint32_t kRequestBytesMax = (1 << 20) + 8192;
inline constexpr uint32_t kResponseBytesMax = (1 << 20) + 8192;

class Session {
 public:
  struct Slot {
    std::mutex mutex;
    uint32_t sequence = 0;  // of the last request
    bool known = true;      // false: of the last run, and the next request tells
    bool busy = false;
    bool cached = false;
    uint64_t fingerprint = 0;
    std::vector<std::byte> reply;
  };
  enum class Turn {
    kRun,       // a new request: call Finish when it has run
    kReplay,    // `reply` is the answer
    kUncached,  // a retransmission of a request that was not to be cached
    kBusy,      // a retransmission of a request that runs now
    kMisordered,
    kFalseRetry,
    kBadSlot,
  };

  Session(const sessionid4& name, std::shared_ptr<Client> whose, const channel_attrs4& fore_channel)
      : id(name), client(std::move(whose)), fore(fore_channel), slots_(fore.ca_maxrequests) {}

  // A session of the last run: its slots take the first request as it is numbered.
  void Restore() {
    restored = true;
    for (Slot& slot : slots_) slot.known = false;
  }

  const sessionid4 id;
  const std::shared_ptr<Client> client;
  const channel_attrs4 fore;
  std::atomic<bool> dead{false};
  std::shared_ptr<BackChannel> back;  // set before the session is in the table
  bool restored = false;              // it does not change once the session is in the table

  // `fingerprint` tells a retransmission from another request with the same sequence number.
  Turn Begin(uint32_t slot, uint32_t sequence, uint64_t fingerprint, std::vector<std::byte>& reply);
  // Keeps the reply if `cache`.
  void Finish(uint32_t slot, bool cache, std::vector<std::byte> reply);
  uint32_t slot_count() const { return static_cast<uint32_t>(slots_.size()); }

 private:
  std::vector<Slot> slots_;
};

}  // namespace tarn::nfs4
