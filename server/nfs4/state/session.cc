#include "server/nfs4/state/session.h"

#include <algorithm>

namespace tarn::nfs4 {

Session::Session(const sessionid4& name, std::shared_ptr<Client> whose,
                 const channel_attrs4& fore_channel, std::shared_ptr<ReplyBudget> replies)
    : id(name),
      client(std::move(whose)),
      fore(fore_channel),
      holding(client->account),
      budget_(std::move(replies)),
      target_(fore_channel.ca_maxrequests - 1) {}

Session::~Session() {
  Trim(0);
  for (size_t i = 0; i < chunks_.size(); ++i) {
    Chunk* chunk = chunks_[i].load();
    if (chunk != nullptr && i > 0) budget_->GiveForSlots(sizeof(Chunk));
    delete chunk;
  }
}

Session::Slot* Session::Find(uint32_t slot) {
  Chunk* chunk = chunks_[slot / kChunk].load(std::memory_order_acquire);
  return chunk == nullptr ? nullptr : &(*chunk)[slot % kChunk];
}

Session::Slot* Session::Make(uint32_t slot) {
  if (Slot* made = Find(slot)) return made;
  const bool counts = slot >= kChunk;  // the first are the session's own (tenants.h)
  if (counts && !budget_->TakeForSlots(sizeof(Chunk))) return nullptr;
  auto chunk = std::make_unique<Chunk>();
  for (Slot& one : *chunk) one.known = !restored;
  Chunk* before = nullptr;
  if (chunks_[slot / kChunk].compare_exchange_strong(before, chunk.get())) {
    (void)chunk.release();
  } else if (counts) {
    budget_->GiveForSlots(sizeof(Chunk));
  }
  return Find(slot);
}

Session::Turn Session::Begin(uint32_t slot, uint32_t sequence, uint64_t fingerprint,
                             std::vector<std::byte>& reply) {
  if (slot >= slot_count()) return Turn::kBadSlot;
  Slot* made = Make(slot);
  if (made == nullptr) return Turn::kBusy;
  Slot& at = *made;
  std::lock_guard lock(at.mutex);
  if (!at.known || sequence == at.sequence + 1 || (at.fresh && sequence == 1)) {
    if (at.busy) return Turn::kMisordered;
    bool first = !at.known;
    at.known = true;
    at.fresh = false;
    at.busy = true;
    at.sequence = sequence;
    at.fingerprint = fingerprint;
    at.cached = false;
    Keep(at, {});
    return first ? Turn::kRunFirst : Turn::kRun;
  }
  if (sequence != at.sequence || sequence == 0) return Turn::kMisordered;
  if (at.busy) return Turn::kBusy;
  if (at.fingerprint != fingerprint) return Turn::kFalseRetry;
  if (!at.cached) return Turn::kUncached;
  reply = at.reply;
  return Turn::kReplay;
}

void Session::Keep(Slot& slot, std::vector<std::byte> reply) {
  if (!slot.reply.empty()) budget_->Remove(slot.reply.size());
  if (!reply.empty()) budget_->Add(reply.size());
  slot.reply = std::move(reply);
}

void Session::Finish(uint32_t slot, bool cache, std::vector<std::byte> reply) {
  Slot& at = *Find(slot);
  {
    std::lock_guard lock(at.mutex);
    at.busy = false;
    at.cached = cache;
    if (cache) Keep(at, std::move(reply));
  }
  uint32_t used = used_.load(std::memory_order_relaxed);
  while (used <= slot && !used_.compare_exchange_weak(used, slot + 1)) {
  }
}

uint32_t Session::Resize(uint32_t highest_in_use) {
  uint32_t most = slot_count() - 1;
  uint32_t target = target_.load(std::memory_order_relaxed);
  if (budget_->tight()) {
    target = std::min(most, kSlotsWhenTight - 1);
    target_.store(target, std::memory_order_relaxed);
  } else if (target < most && budget_->roomy()) {
    target = most;
    target_.store(target, std::memory_order_relaxed);
  }
  bool shrunk = target < most && highest_in_use <= target;
  if (shrunk && used_.load(std::memory_order_relaxed) > target + 1) Trim(target + 1);
  return target;
}

void Session::Trim(uint32_t from) {
  uint32_t used = used_.exchange(from);
  for (uint32_t slot = from; slot < used; ++slot) {
    Slot* made = Find(slot);
    if (made == nullptr) continue;
    Slot& at = *made;
    std::lock_guard lock(at.mutex);
    if (at.busy) continue;
    at.cached = false;
    at.fresh = true;
    Keep(at, {});
  }
}

}  // namespace tarn::nfs4
