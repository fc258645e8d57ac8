// Which delegations may be given, and which are in the way of what.
#include <algorithm>

#include "server/nfs4/state/file_state.h"

namespace tarn::nfs4 {

// NFS4_OK is not among these: WND4_NOT_WANTED stands for "nothing speaks against it".
why_no_delegation4 FileTable::WhyNot(const FileState& file, const DelegationState& wanted) {
  for (const auto& held : file.delegations) {
    if (held->client == wanted.client) {
      return wanted.write && !held->write ? WND4_NOT_SUPP_UPGRADE : WND4_NOT_SUPP_DOWNGRADE;
    }
    if (wanted.write || held->write) return WND4_CONTENTION;
  }
  bool others = std::any_of(file.opens.begin(), file.opens.end(), [&](const auto& open) {
    if (open->client == wanted.client) return false;
    return wanted.write || (open->access & OPEN4_SHARE_ACCESS_WRITE) != 0 ||
           (open->deny & OPEN4_SHARE_DENY_READ) != 0;
  });
  return others || file.changes > 0 ? WND4_CONTENTION : WND4_NOT_WANTED;
}

Granted FileTable::Grant(const DelegationPtr& state, const FileKey& key,
                         std::chrono::nanoseconds now, bool reclaim) {
  Granted out;
  Client& client = *state->client;
  Stripe& stripe = StripeOf(key);
  std::lock_guard lock(stripe.mutex);
  auto found = stripe.files.find(key);
  if (found == stripe.files.end()) return out;
  FileState& file = *found->second;
  out.why = WhyNot(file, *state);
  if (out.why != WND4_NOT_WANTED) return out;
  out.why = WND4_CONTENTION;
  auto contended = stripe.contended.find(key);
  if (!reclaim && contended != stripe.contended.end()) {
    if (now - contended->second < kContended) return out;
    stripe.contended.erase(contended);
  }
  out.why = WND4_RESOURCE;
  // Opens go before: who may give a delegation back opens the file for that.
  bool full = delegations() >= kDelegationsMax || client.delegations >= kDelegationsPerClientMax ||
              (!reclaim && client.account.tight());
  if (full) return out;
  state->file = found->second;
  if (!client.Add(state)) return out;
  file.delegations.push_back(state);
  delegations_.fetch_add(1);
  client.delegations.fetch_add(1);
  if (state->write) write_delegations_.fetch_add(1);
  out.state = state;
  out.stateid = state->stateid();
  return out;
}

std::vector<DelegationPtr> FileTable::InTheWay(const FileKey& key, const Client* by, bool change) {
  std::vector<DelegationPtr> held;
  Stripe& stripe = StripeOf(key);
  std::lock_guard lock(stripe.mutex);
  auto found = stripe.files.find(key);
  if (found == stripe.files.end()) return held;
  for (const auto& one : found->second->delegations) {
    if (one->client.get() != by && (change || one->write)) held.push_back(one);
  }
  return held;
}

std::vector<DelegationPtr> FileTable::BeginChange(const FileKey& key, const Client* by) {
  std::vector<DelegationPtr> held;
  Stripe& stripe = StripeOf(key);
  std::lock_guard lock(stripe.mutex);
  auto& file = stripe.files[key];
  if (!file) file = std::make_shared<FileState>(key, stripe.mutex);
  for (const auto& one : file->delegations) {
    if (one->client.get() != by) held.push_back(one);
  }
  ++file->changes;
  return held;
}

void FileTable::EndChange(const FileKey& key) {
  Stripe& stripe = StripeOf(key);
  std::lock_guard lock(stripe.mutex);
  auto found = stripe.files.find(key);
  --found->second->changes;
  if (found->second->empty()) stripe.files.erase(found);
}

bool FileTable::MarkRecalled(DelegationState& state, std::chrono::nanoseconds now) {
  Stripe& stripe = StripeOf(state.file->key);
  std::lock_guard lock(stripe.mutex);
  NoteContended(stripe, state.file->key, now);
  if (state.closed || state.recalled) return false;
  state.recalled = true;
  state.recalled_at = now;
  return true;
}

void FileTable::NoteContended(Stripe& stripe, const FileKey& key, std::chrono::nanoseconds now) {
  if (stripe.contended.size() >= kContendedFilesMax) {
    std::erase_if(stripe.contended,
                  [now](const auto& one) { return now - one.second >= kContended; });
    if (stripe.contended.size() >= kContendedFilesMax) stripe.contended.clear();
  }
  stripe.contended[key] = now;
}

void FileTable::DetachDelegation(DelegationState& state) {
  if (state.revoked) {
    state.client->revoked.fetch_sub(1);
    return;
  }
  std::erase_if(state.file->delegations, [&](const auto& one) { return one.get() == &state; });
  delegations_.fetch_sub(1);
  state.client->delegations.fetch_sub(1);
  if (state.write) write_delegations_.fetch_sub(1);
}

void FileTable::Revoke(const DelegationPtr& state, std::chrono::nanoseconds now) {
  if (!state->client->sessions_used) return Close(state, now);
  Pin pin;
  Stripe& stripe = StripeOf(state->file->key);
  std::lock_guard lock(stripe.mutex);
  if (state->closed || state->revoked) return;
  DetachDelegation(*state);
  state->revoked = true;
  state->client->revoked.fetch_add(1);
  pin = std::move(state->pin);
  EraseIfEmpty(stripe, *state->file);
}

}  // namespace tarn::nfs4
