#include "server/engine/local/inode.h"

#include <algorithm>

namespace tarn::local {

vfs::Attributes Inode::attributes() const {
  vfs::Attributes attributes;
  attributes.id = id();
  attributes.type = record.type;
  attributes.mode = record.mode;
  attributes.links = record.links;
  attributes.uid = record.uid;
  attributes.gid = record.gid;
  attributes.size = record.size;
  attributes.space_used = record.Footprint();
  attributes.change = record.change;
  attributes.access_time = record.access_time;
  attributes.modify_time = record.modify_time;
  attributes.change_time = record.change_time;
  attributes.create_time = record.create_time;
  attributes.realm = record.realm;
  attributes.device = record.device;
  return attributes;
}

InodeRecord Inode::StoredForm() const {
  InodeRecord form = record;
  if (record.type != vfs::FileType::kRegular) return form;
  form.size = stored.size;
  form.space_used = stored.space_used;
  form.place = stored.place;
  form.change = std::max(record.change, change_stored);
  return form;
}

JournalBlock* FileData::FindImage(uint64_t index, uint64_t block) {
  auto chunk = chunks.find(index);
  if (chunk == chunks.end()) return nullptr;
  auto image = chunk->second.journal.find(block);
  return image == chunk->second.journal.end() ? nullptr : &image->second;
}

void FileData::SetDirty(uint64_t index, uint64_t block, JournalBlock& image) {
  if (!image.dirty) ++dirty_images;
  image.dirty = true;
  changed_images.emplace_back(index, block);
}

Result<void> Inode::CheckLosses(uint32_t before) const {
  if (losses == before) return Ok();
  return Error(Code::kIo, "a sync of inode " + std::to_string(number) + " failed meanwhile");
}

bool Inode::pinned() {
  std::lock_guard lock(pin_mutex);
  return pins > 0;
}

void LockSet::Lock(std::vector<InodePtr> inodes) {
  inodes_ = std::move(inodes);
  std::sort(inodes_.begin(), inodes_.end(),
            [](const InodePtr& a, const InodePtr& b) { return a->number < b->number; });
  inodes_.erase(std::unique(inodes_.begin(), inodes_.end()), inodes_.end());
  for (auto& inode : inodes_) inode->mutex.lock();
}

void LockSet::Unlock() {
  for (auto inode = inodes_.rbegin(); inode != inodes_.rend(); ++inode) (*inode)->mutex.unlock();
  inodes_.clear();
}

InodeCache::InodeCache(Store& store, uint32_t fs, size_t limit)
    : store_(store), fs_(fs), shard_limit_(std::max<size_t>(8, limit / kShards)) {}

InodeCache::~InodeCache() {
  for (Shard& at : shards_) {
    for (auto& [number, inode] : at.inodes) {
      // A pinned inode holds itself.
      std::lock_guard lock(inode->pin_mutex);
      inode->self.reset();
    }
  }
}

void InodeCache::Load(Inode& inode) {
  auto stored = store_.Get(Table::kInodes, InodeKey(fs_, inode.number));
  if (!stored) {
    inode.gone = stored.error();
    return;
  }
  if (!*stored) {
    inode.gone = Error(Code::kStale);
    return;
  }
  auto record = DecodeInode(**stored);
  if (!record) {
    inode.gone = Error(Code::kCorrupt,
                       "inode " + std::to_string(inode.number) + ": " + record.error().message());
    return;
  }
  inode.record = *record;
  inode.stored = {record->size, record->space_used, record->place};
  inode.change_stored = record->change;
  inode.parent = record->parent;
}

Result<InodePtr> InodeCache::Find(uint64_t number) {
  Shard& at = shard(number);
  {
    std::shared_lock lock(at.mutex);
    if (auto found = at.inodes.find(number); found != at.inodes.end()) {
      if (!found->second->used.load(std::memory_order_relaxed)) found->second->used = true;
      return found->second;
    }
  }
  // The object enters the cache locked and empty, so that nobody loads it twice.
  auto inode = std::make_shared<Inode>(number);
  std::unique_lock loading(inode->mutex);
  {
    std::unique_lock lock(at.mutex);
    auto [found, added] = at.inodes.try_emplace(number, inode);
    if (!added) return found->second;
    ++size_;
    if (at.inodes.size() > shard_limit_) Evict(at);
  }
  Load(*inode);
  if (inode->gone) {
    Drop(number);
    return *inode->gone;
  }
  return inode;
}

void InodeCache::Add(const InodePtr& inode) {
  Shard& at = shard(inode->number);
  std::unique_lock lock(at.mutex);
  if (at.inodes.insert_or_assign(inode->number, inode).second) ++size_;
  if (at.inodes.size() > shard_limit_) Evict(at);
}

void InodeCache::Drop(uint64_t number) {
  Shard& at = shard(number);
  std::unique_lock lock(at.mutex);
  size_ -= at.inodes.erase(number);
}

InodePtr InodeCache::Peek(uint64_t number) {
  Shard& at = shard(number);
  std::shared_lock lock(at.mutex);
  auto found = at.inodes.find(number);
  return found == at.inodes.end() ? nullptr : found->second;
}

// Gives inodes that were not used since the last look, and that nobody holds, out of the cache.
// Those with unstable writes are held by the list of dirty files, those with pins by themselves.
void InodeCache::Evict(Shard& at) {
  constexpr size_t kLooksMax = 256;
  size_t buckets = at.inodes.bucket_count();
  for (size_t looks = 0; looks < kLooksMax && at.inodes.size() > shard_limit_; ++looks) {
    size_t bucket = at.sweep++ % buckets;
    std::vector<uint64_t> victims;
    for (auto entry = at.inodes.begin(bucket); entry != at.inodes.end(bucket); ++entry) {
      if (entry->second.use_count() > 1) continue;
      if (entry->second->used.exchange(false)) continue;
      victims.push_back(entry->first);
    }
    for (uint64_t number : victims) size_ -= at.inodes.erase(number);
  }
}

}  // namespace tarn::local
