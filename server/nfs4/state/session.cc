#include "server/nfs4/state/session.h"

namespace tarn::nfs4 {

Session::Turn Session::Begin(uint32_t slot, uint32_t sequence, uint64_t fingerprint,
                             std::vector<std::byte>& reply) {
  if (slot >= slots_.size()) return Turn::kBadSlot;
  Slot& at = slots_[slot];
  std::lock_guard lock(at.mutex);
  if (!at.known || sequence == at.sequence + 1) {
    if (at.busy) return Turn::kMisordered;
    at.known = true;
    at.busy = true;
    at.sequence = sequence;
    at.fingerprint = fingerprint;
    at.cached = false;
    at.reply.clear();
    return Turn::kRun;
  }
  if (sequence != at.sequence || sequence == 0) return Turn::kMisordered;
  if (at.busy) return Turn::kBusy;
  if (at.fingerprint != fingerprint) return Turn::kFalseRetry;
  if (!at.cached) return Turn::kUncached;
  reply = at.reply;
  return Turn::kReplay;
}

void Session::Finish(uint32_t slot, bool cache, std::vector<std::byte> reply) {
  Slot& at = slots_[slot];
  std::lock_guard lock(at.mutex);
  at.busy = false;
  at.cached = cache;
  if (cache) at.reply = std::move(reply);
}

}  // namespace tarn::nfs4
