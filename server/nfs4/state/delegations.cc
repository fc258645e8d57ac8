#include "server/nfs4/state/delegations.h"

#include <condition_variable>

#include "common/log.h"

namespace tarn::nfs4 {
namespace {

// Where a worker waits for an answer. Shared with one that comes too late.
struct Asked {
  std::mutex mutex;
  std::condition_variable came;
  bool done = false;
  std::optional<Delegations::HolderAttributes> told;
};

// A client may tell more than it was asked for: that comes after the two.
std::optional<Delegations::HolderAttributes> ToHolderAttributes(const CallbackAnswer& answer) {
  Delegations::HolderAttributes told;
  CB_GETATTR4res result;
  xdr::Decoder from(answer.result);
  if (answer.status != NFS4_OK || !Decode(from, result)) return std::nullopt;
  const fattr4& attributes = result.resok4.obj_attributes;
  bool both = attributes.attrmask.Has(FATTR4_CHANGE) && attributes.attrmask.Has(FATTR4_SIZE);
  bool others_first =
      (attributes.attrmask.words[0] & ((1U << FATTR4_SIZE) - 1) & ~(1U << FATTR4_CHANGE)) != 0;
  xdr::Decoder values(attributes.attr_vals);
  bool good = both && !others_first && values.Get(told.change) && values.Get(told.size);
  return good ? std::optional(told) : std::nullopt;
}

}  // namespace

bool Delegations::Overdue(const DelegationState& state) const {
  std::lock_guard lock(state.file->mutex);
  return state.recalled && clock_.Monotonic() - state.recalled_at > lease_;
}

nfsstat4 Delegations::Recall(const std::vector<DelegationPtr>& held) {
  bool wait = false;
  for (const DelegationPtr& state : held) {
    if (clients_.DropIfExpired(state->client)) continue;
    if (Overdue(*state)) {
      files_.Revoke(state, clock_.Monotonic());
      continue;
    }
    wait = true;
    if (files_.MarkRecalled(*state, clock_.Monotonic())) Send(state);
  }
  return wait ? NFS4ERR_DELAY : NFS4_OK;
}

nfsstat4 Delegations::Clear(const FileKey& key, const Client* by, bool change) {
  for (;;) {
    auto held = files_.InTheWay(key, by, change);
    if (held.empty()) return NFS4_OK;
    if (nfsstat4 status = Recall(held); status != NFS4_OK) return status;
  }
}

Delegations::Change::Change(Delegations& delegations, const FileKey& key, const Client* by)
    : files_(&delegations.files_), key_(key) {
  auto held = files_->BeginChange(key, by);
  while (!held.empty() && status == NFS4_OK) {
    status = delegations.Recall(held);
    held = files_->InTheWay(key, by, true);
  }
}

std::optional<Delegations::HolderAttributes> Delegations::Ask(const DelegationState& state) {
  if (asking_.fetch_add(1) >= kAskingMax) {
    asking_.fetch_sub(1);
    return std::nullopt;
  }
  auto asked = std::make_shared<Asked>();
  CB_GETATTR4args args{.fh = state.handle, .attr_request = {FATTR4_CHANGE, FATTR4_SIZE}};
  auto done = [asked](const CallbackAnswer& answer) {
    std::lock_guard lock(asked->mutex);
    asked->done = true;
    asked->told = ToHolderAttributes(answer);
    asked->came.notify_one();
  };
  CallbackOptions options{.give_up = std::chrono::seconds(1), .referring = state.granted_by};
  state.client->callbacks->Send(OP_CB_GETATTR, args, done, options);
  std::unique_lock lock(asked->mutex);
  asked->came.wait_for(lock, kAskFor, [&] { return asked->done; });
  asking_.fetch_sub(1);
  return asked->told;
}

void Delegations::Send(const DelegationPtr& state) {
  CallbackOptions options{.give_up = lease_, .referring = state->granted_by};
  CB_RECALL4args args{.stateid = {}, .truncate = false, .fh = state->handle};
  {
    std::lock_guard lock(state->file->mutex);
    args.stateid = state->stateid();
  }
  {
    std::lock_guard lock(recalls_->mutex);
    recalls_->by_state[state.get()] = {.state = state, .sent = clock_.Monotonic()};
  }
  auto done = [recalls = recalls_, key = state.get()](const CallbackAnswer& answer) {
    if (answer.status == NFS4_OK) return;
    std::lock_guard lock(recalls->mutex);
    auto found = recalls->by_state.find(key);
    if (found != recalls->by_state.end()) found->second.refused = true;
  };
  state->client->callbacks->Send(OP_CB_RECALL, args, done, options);
}

void Delegations::Tick() {
  std::vector<Recalled> all;
  {
    std::lock_guard lock(recalls_->mutex);
    for (const auto& [key, recalled] : recalls_->by_state) all.push_back(recalled);
  }
  auto now = clock_.Monotonic();
  for (const Recalled& one : all) {
    bool gone = false;
    {
      std::lock_guard lock(one.state->file->mutex);
      gone = one.state->closed || one.state->revoked;
    }
    if (!gone && Overdue(*one.state)) {
      spdlog::info("nfs: client {:x} did not return a delegation within {} s: it is revoked",
                   one.state->client->id, lease_.count());
      files_.Revoke(one.state, now);
      gone = true;
    }
    if (gone) {
      std::lock_guard lock(recalls_->mutex);
      recalls_->by_state.erase(one.state.get());
    } else if (one.refused && now - one.sent >= kAgain) {
      Send(one.state);
    }
  }
}

}  // namespace tarn::nfs4
