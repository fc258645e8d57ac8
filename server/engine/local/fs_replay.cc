// Changes that come again after a restart: vfs::ReplayTag.
#include "server/engine/local/local_file_system.h"

namespace tarn::local {

using namespace vfs;  // NOLINT(google-build-using-namespace)

namespace {

constexpr size_t kSlotBytesMax = 64;

}  // namespace

Result<void> LocalFileSystem::LoadReplays() {
  std::string prefix = MetaPrefix('P', number_);
  Result<void> status;
  TRY(store_.Scan(Table::kMeta, prefix, After(prefix), [&](std::string_view key, auto value) {
    auto replay = DecodeReplay(value);
    if (!replay) status = replay.error();
    if (replay) replays_[std::string(key.substr(prefix.size()))] = *replay;
    return replay.ok();
  }));
  has_replays_ = !replays_.empty();
  return status;
}

// Only of the last run: within one, the protocol's reply cache answers.
std::optional<ReplayRecord> LocalFileSystem::Replayed(const Caller& caller) {
  if (!caller.replay || !has_replays_) return {};
  std::lock_guard lock(replay_mutex_);
  auto found = replays_.find(caller.replay->slot);
  if (found == replays_.end()) return {};
  if (found->second.sequence == caller.replay->sequence) return found->second;
  replays_.erase(found);  // the client went on
  has_replays_ = !replays_.empty();
  return {};
}

void LocalFileSystem::KeepReplay(Batch& batch, const Caller& caller, ReplayRecord record) const {
  if (!caller.replay || caller.replay->slot.size() > kSlotBytesMax) return;
  record.sequence = caller.replay->sequence;
  batch.Put(Table::kMeta, MetaPrefix('P', number_) + caller.replay->slot, Encode(record));
}

Result<void> LocalFileSystem::ForgetReplays(std::string_view prefix) {
  {
    std::lock_guard lock(replay_mutex_);
    auto begin = replays_.lower_bound(prefix);
    auto end = begin;
    while (end != replays_.end() && end->first.starts_with(prefix)) ++end;
    replays_.erase(begin, end);
    has_replays_ = !replays_.empty();
  }
  std::string first = MetaPrefix('P', number_) + std::string(prefix);
  Batch batch(store_);
  TRY(store_.Scan(Table::kMeta, first, After(first), [&](std::string_view key, std::string_view) {
    batch.Delete(Table::kMeta, std::string(key));
    return true;
  }));
  if (batch.empty()) return Ok();
  return store_.WriteAndSync(batch);
}

}  // namespace tarn::local
