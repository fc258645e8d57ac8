// A session (RFC 8881 section 2.10): slots, each with the one reply that makes its requests happen
// exactly once.
//
// The table of slots shrinks and grows (RFC 8881 section 2.10.6.1): while the replies that all
// sessions keep take too much memory, clients are told to use few slots, and what is kept in those
// above is let go as soon as the client has said that it does not use them any more. A slot that
// comes into use again begins at 1, or goes on counting, as the client has it.
//
// Threads: a slot's mutex guards its members; a request that runs marks its slot busy and owns it
// until Finish, without holding the mutex.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "server/nfs4/state/client.h"

namespace tarn::nfs4 {

// What a fore channel offers at most. A reply cached in a slot is at most kCachedReplyBytesMax, so
// a session keeps kSlotsMax * kCachedReplyBytesMax bytes at the very most.
inline constexpr uint32_t kSlotsMax = 128;
inline constexpr uint32_t kSlotsWhenTight = 8;  // and so many when memory is short
inline constexpr uint32_t kCachedReplyBytesMax = 8192;
inline constexpr uint32_t kOperationsMax = 64;
inline constexpr uint32_t kRequestBytesMax = (1 << 20) + 8192;
inline constexpr uint32_t kResponseBytesMax = (1 << 20) + 8192;

// What the cached replies of all sessions take together, and apart from that, the slots that few
// clients use. Threads: any.
class ReplyBudget {
 public:
  static constexpr size_t kBytesMax = size_t{256} << 20;
  explicit ReplyBudget(size_t bytes_max = kBytesMax) : max_(bytes_max) {}
  void Add(size_t bytes) { bytes_.fetch_add(bytes, std::memory_order_relaxed); }
  void Remove(size_t bytes) { bytes_.fetch_sub(bytes, std::memory_order_relaxed); }
  size_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  // Tables shrink from the first on, and grow again from the second on. From the third on nothing
  // more is cached (NFS4ERR_DELAY).
  bool tight() const { return bytes() > max_ / 2; }
  bool roomy() const { return bytes() < max_ / 4; }
  bool full() const { return bytes() > max_; }
  // False: nothing is taken.
  bool TakeForSlots(size_t bytes) {
    if (slots_.fetch_add(bytes, std::memory_order_relaxed) + bytes <= max_) return true;
    GiveForSlots(bytes);
    return false;
  }
  void GiveForSlots(size_t bytes) { slots_.fetch_sub(bytes, std::memory_order_relaxed); }

 private:
  const size_t max_;
  std::atomic<size_t> bytes_{0};
  std::atomic<size_t> slots_{0};
};

class Session {
 public:
  struct Slot {
    std::mutex mutex;
    uint32_t sequence = 0;  // of the last request
    bool known = true;      // false: of the last run, and the next request tells
    bool fresh = false;     // was above the table's end meanwhile: may begin at 1 again
    bool busy = false;
    bool cached = false;
    uint64_t fingerprint = 0;
    std::vector<std::byte> reply;
  };
  enum class Turn {
    kRun,       // a new request: call Finish when it has run
    kRunFirst,  // the same; of its slot it is the first since a restart, so it may be one of the
                // last run, sent again
    kReplay,    // `reply` is the answer
    kUncached,  // a retransmission of a request that was not to be cached
    kBusy,      // a retransmission of a request that runs now
    kMisordered,
    kFalseRetry,
    kBadSlot,
  };

  Session(const sessionid4& name, std::shared_ptr<Client> whose, const channel_attrs4& fore_channel,
          std::shared_ptr<ReplyBudget> replies);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // A session of the last run: its slots take the first request as it is numbered.
  void Restore() { restored = true; }

  const sessionid4 id;
  const std::shared_ptr<Client> client;
  const channel_attrs4 fore;
  std::atomic<bool> dead{false};
  std::shared_ptr<BackChannel> back;  // set before the session is in the table
  bool restored = false;              // it does not change once the session is in the table
  Holding holding;

  // `fingerprint` tells a retransmission from another request with the same sequence number.
  Turn Begin(uint32_t slot, uint32_t sequence, uint64_t fingerprint, std::vector<std::byte>& reply);
  // Keeps the reply if `cache`.
  void Finish(uint32_t slot, bool cache, std::vector<std::byte> reply);
  uint32_t slot_count() const { return fore.ca_maxrequests; }
  // The highest slot that the client should use now, after it said which it uses.
  uint32_t Resize(uint32_t highest_in_use);
  bool MayCache() const { return !budget_->full(); }

 private:
  static constexpr uint32_t kChunk = 16;
  using Chunk = std::array<Slot, kChunk>;

  Slot* Find(uint32_t slot);  // null: nobody has used it
  Slot* Make(uint32_t slot);  // null: there is no memory for it
  // Lets go of what is cached in slots from `from` on.
  void Trim(uint32_t from);
  void Keep(Slot& slot, std::vector<std::byte> reply);

  const std::shared_ptr<ReplyBudget> budget_;
  std::atomic<uint32_t> target_;   // highest slot that is offered
  std::atomic<uint32_t> used_{0};  // one past the highest slot that may keep something
  // Made with their first request: most clients never use many slots.
  std::array<std::atomic<Chunk*>, kSlotsMax / kChunk> chunks_{};
};

}  // namespace tarn::nfs4
