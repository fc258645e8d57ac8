#include "server/nfs4/state/file_state.h"

#include <algorithm>

namespace tarn::nfs4 {
namespace {

void Describe(const Range& held, Locked& out) {
  out.status = NFS4ERR_DENIED;
  out.denied.offset = held.first;
  out.denied.length = held.last == UINT64_MAX ? UINT64_MAX : held.last - held.first + 1;
  out.denied.locktype = held.write ? WRITE_LT : READ_LT;
  out.denied.owner.clientid = held.owner->client.id;
  out.denied_owner = held.owner->name;
}

// The client that holds a range: found through the lock states, which keep it alive.
std::shared_ptr<Client> HolderOf(const FileState& file, const LockOwner* owner) {
  for (const auto& lock : file.locks) {
    if (lock->owner.get() == owner) return lock->client;
  }
  return nullptr;
}

}  // namespace

bool OpenModes::Narrow(uint32_t to_access, uint32_t to_deny) {
  bool known = to_access != 0 && (to_access & ~access) == 0 && (to_deny & ~deny) == 0 &&
               ((accesses >> to_access) & 1) != 0 && ((denies >> to_deny) & 1) != 0;
  if (!known) return false;
  access = to_access;
  deny = to_deny;
  // Only modes within the new one can be gone back to from here.
  for (uint32_t mode = 0; mode <= OPEN4_SHARE_ACCESS_BOTH; ++mode) {
    if ((mode & ~access) != 0) accesses &= ~(1U << mode);
    if ((mode & ~deny) != 0) denies &= ~(1U << mode);
  }
  return true;
}

Opened FileTable::Open(const std::shared_ptr<Client>& client,
                       const std::shared_ptr<OpenOwner>& owner, const FileKey& key, uint32_t access,
                       uint32_t deny, bool changes, Pin& pin) {
  Opened out;
  Stripe& stripe = StripeOf(key);
  std::lock_guard lock(stripe.mutex);
  auto& file = stripe.files[key];
  if (!file) file = std::make_shared<FileState>(key, stripe.mutex);
  for (const auto& open : file->opens) {
    // What an owner denies, it denies itself too (RFC 7530 section 9.9).
    if ((access & open->deny) != 0 || (deny & open->access) != 0) {
      out.status = NFS4ERR_SHARE_DENIED;
      out.blocker = open->client;
      out.state = nullptr;
      return out;
    }
    if (open->owner == owner) out.state = open;
  }
  bool reads_only = access == OPEN4_SHARE_ACCESS_READ && !changes;
  for (const auto& held : file->delegations) {
    bool denied = (deny & OPEN4_SHARE_DENY_READ) != 0;
    if (held->client != client && (held->write || !reads_only || denied)) {
      out.recall.push_back(held);
    }
  }
  if (!out.recall.empty()) {
    out.status = NFS4ERR_DELAY;
    out.state = nullptr;
    return out;
  }
  if (out.state) {
    out.before = Opened::Before{.seqid = out.state->seqid, .modes = *out.state};
    out.state->Widen(access, deny);
    out.state->Bump();
    out.stateid = out.state->stateid();
    return out;
  }
  auto state = std::make_shared<OpenState>(client);
  state->owner = owner;
  state->Widen(access, deny);
  state->file = file;
  if (!client->Add(state)) {
    out.status = client->dead ? NFS4ERR_EXPIRED : NFS4ERR_DQUOT;
    if (file->empty()) stripe.files.erase(key);
    return out;
  }
  state->pin = std::move(pin);
  file->opens.push_back(state);
  out.stateid = state->stateid();
  out.state = std::move(state);
  return out;
}

void FileTable::Detach(const std::shared_ptr<State>& state,
                       std::vector<std::shared_ptr<State>>& gone) {
  if (state->closed) return;
  FileState& file = *state->file;
  auto is_same = [&](const auto& other) { return other.get() == state.get(); };
  if (state->kind == State::Kind::kOpen) {
    std::vector<std::shared_ptr<LockState>> hanging;
    for (const auto& lock : file.locks) {
      if (lock->open.get() == state.get()) hanging.push_back(lock);
    }
    for (const auto& lock : hanging) Detach(lock, gone);
    std::erase_if(file.opens, is_same);
  } else if (state->kind == State::Kind::kDelegation) {
    DetachDelegation(static_cast<DelegationState&>(*state));
  } else {
    file.ranges.ClearOwner(static_cast<LockState&>(*state).owner.get());
    std::erase_if(file.locks, is_same);
  }
  state->closed = true;
  gone.push_back(state);
}

void FileTable::EraseIfEmpty(Stripe& stripe, const FileState& file) {
  if (!file.empty()) return;
  auto found = stripe.files.find(file.key);
  if (found != stripe.files.end() && found->second.get() == &file) stripe.files.erase(found);
}

void FileTable::CloseLocked(Stripe& stripe, const std::shared_ptr<State>& state, Gone& gone) {
  Detach(state, gone.states);
  if (state->kind == State::Kind::kOpen) gone.pin = std::move(static_cast<OpenState&>(*state).pin);
  if (state->kind == State::Kind::kDelegation) {
    gone.pin = std::move(static_cast<DelegationState&>(*state).pin);
  }
  if (!gone.states.empty()) EraseIfEmpty(stripe, *state->file);
}

void FileTable::Close(const std::shared_ptr<State>& state, std::chrono::nanoseconds now) {
  (void)CloseIf([] { return NFS4_OK; }, state, now);
}

nfsstat4 FileTable::CloseIf(const std::function<nfsstat4()>& may,
                            const std::shared_ptr<State>& state, std::chrono::nanoseconds now,
                            bool keep) {
  Gone gone;
  {
    Stripe& stripe = StripeOf(state->file->key);
    std::lock_guard lock(stripe.mutex);
    nfsstat4 status = may();
    if (status != NFS4_OK) return status;
    CloseLocked(stripe, state, gone);
  }
  for (const auto& one : gone.states) {
    if (!keep || one != state) one->client->Remove(one->id, now);
  }
  return NFS4_OK;
}

void FileTable::TakeBack(const Opened& opened, std::chrono::nanoseconds now) {
  Gone gone;
  {
    OpenState& state = *opened.state;
    Stripe& stripe = StripeOf(state.file->key);
    std::lock_guard lock(stripe.mutex);
    if (state.closed || state.seqid != opened.stateid.seqid) return;
    if (opened.before) {
      static_cast<OpenModes&>(state) = opened.before->modes;
      state.seqid = opened.before->seqid;
    } else {
      CloseLocked(stripe, opened.state, gone);
    }
  }
  for (const auto& one : gone.states) one->client->Remove(one->id, now);
}

bool FileTable::Denied(const FileKey& key, bool read, bool write) {
  Stripe& stripe = StripeOf(key);
  std::lock_guard lock(stripe.mutex);
  auto found = stripe.files.find(key);
  if (found == stripe.files.end()) return false;
  uint32_t wanted = (read ? OPEN4_SHARE_DENY_READ : 0U) | (write ? OPEN4_SHARE_DENY_WRITE : 0U);
  const auto& opens = found->second->opens;
  return std::any_of(opens.begin(), opens.end(),
                     [wanted](const auto& open) { return (open->deny & wanted) != 0; });
}

// One lock or unlock makes two more of an owner's ranges at most. False: too many, and nothing has
// changed. `unlock`: is not refused for memory; a client takes its lock for gone whatever it hears.
bool FileTable::ChangeRanges(LockState& state, bool unlock, const std::function<bool()>& change) {
  constexpr size_t kMadeMax = 2;
  if (unlock) {
    state.holding.TakeAnyway(kMadeMax * kRangeBytes);
  } else if (!state.holding.Take(kMadeMax * kRangeBytes)) {
    return false;
  }
  size_t before = state.file->ranges.ranges().size();
  bool changed = change();
  state.holding.Give((before + kMadeMax - state.file->ranges.ranges().size()) * kRangeBytes);
  return changed;
}

Locked FileTable::SetRange(LockState& state, const Range& range) {
  Locked out;
  FileState& file = *state.file;
  uint32_t needed = range.write ? OPEN4_SHARE_ACCESS_WRITE : OPEN4_SHARE_ACCESS_READ;
  if ((state.open->access & needed) == 0) {
    out.status = NFS4ERR_OPENMODE;
  } else if (const Range* held = file.ranges.Conflict(range)) {
    Describe(*held, out);
    out.blocker = HolderOf(file, held->owner);
  } else if (!ChangeRanges(state, false, [&] { return file.ranges.Set(range); })) {
    out.status = NFS4ERR_DQUOT;
  }
  return out;
}

Locked FileTable::Lock(const std::shared_ptr<OpenState>& open,
                       const std::shared_ptr<LockOwner>& owner, const Range& range) {
  std::lock_guard lock(open->file->mutex);
  FileState& file = *open->file;
  Locked out;
  if (open->closed) {
    out.status = NFS4ERR_BAD_STATEID;
    return out;
  }
  auto found = std::find_if(file.locks.begin(), file.locks.end(),
                            [&](const auto& held) { return held->owner == owner; });
  std::shared_ptr<LockState> state = found == file.locks.end() ? nullptr : *found;
  bool made = state == nullptr;
  if (made) {
    state = std::make_shared<LockState>(open->client);
    state->owner = owner;
    state->open = open;
    state->file = open->file;
  }
  out = SetRange(*state, range);
  if (out.status != NFS4_OK) return out;
  if (made && !open->client->Add(state)) {
    file.ranges.ClearOwner(owner.get());
    out.status = open->client->dead ? NFS4ERR_EXPIRED : NFS4ERR_DQUOT;
    return out;
  }
  if (made) file.locks.push_back(state);
  if (!made) state->Bump();
  out.stateid = state->stateid();
  return out;
}

Locked FileTable::Lock(const std::shared_ptr<LockState>& state, const Range& range) {
  std::lock_guard lock(state->file->mutex);
  Locked out;
  if (state->closed) {
    out.status = NFS4ERR_BAD_STATEID;
    return out;
  }
  out = SetRange(*state, range);
  if (out.status == NFS4_OK) {
    state->Bump();
    out.stateid = state->stateid();
  }
  return out;
}

Locked FileTable::Test(const FileKey& key, const Range& range) {
  Stripe& stripe = StripeOf(key);
  std::lock_guard lock(stripe.mutex);
  Locked out;
  auto found = stripe.files.find(key);
  if (found == stripe.files.end()) return out;
  if (const Range* held = found->second->ranges.Conflict(range)) {
    Describe(*held, out);
    out.blocker = HolderOf(*found->second, held->owner);
  }
  return out;
}

Locked FileTable::Unlock(const std::shared_ptr<LockState>& state, uint64_t first, uint64_t last) {
  std::lock_guard lock(state->file->mutex);
  Locked out;
  if (state->closed) {
    out.status = NFS4ERR_BAD_STATEID;
  } else if (!ChangeRanges(*state, true, [&] {
               return state->file->ranges.Clear(state->owner.get(), first, last);
             })) {
    out.status = NFS4ERR_DQUOT;
  } else {
    state->Bump();
    out.stateid = state->stateid();
  }
  return out;
}

}  // namespace tarn::nfs4
