#include "server/engine/memory/memory_file_system.h"

#include <random>

namespace tarn::engine {

using namespace vfs;  // NOLINT(google-build-using-namespace)

namespace {

constexpr uint64_t kRootInode = 1;
constexpr uint64_t kGeneration = 1;  // inode numbers are not reused here

}  // namespace

MemoryFileSystem::MemoryFileSystem(const Clock& clock)
    : clock_(clock), verifier_(std::random_device()()) {
  Inode& root = inodes_[kRootInode];
  Attributes& attributes = root.attributes;
  attributes.id = {kRootInode, kGeneration};
  attributes.type = FileType::kDirectory;
  attributes.mode = 0755;
  attributes.links = 2;
  attributes.size = SparseBytes::kPageBytes;
  attributes.change = 1;
  attributes.access_time = attributes.modify_time = attributes.change_time =
      attributes.create_time = Now();
  realms_[kRootRealm] = Realm{.root = kRootInode, .parent = 0, .quota = {}, .usage = {0, 1}};
}

void MemoryFileSystem::Drop() {
  std::lock_guard lock(mutex_);
  inodes_.clear();
}

Time MemoryFileSystem::Now() const {
  constexpr int64_t kSecond = 1'000'000'000;
  int64_t now = clock_.Now().count();
  return {now / kSecond, static_cast<uint32_t>(now % kSecond)};
}

Result<MemoryFileSystem::Inode*> MemoryFileSystem::Find(const Caller& caller, FileId id) {
  auto found = inodes_.find(id.inode);
  if (found == inodes_.end() || found->second.attributes.id != id) return Error(Code::kStale);
  if (!RealmWithin(found->second.attributes.realm, caller.realm)) return Error(Code::kStale);
  return &found->second;
}

Result<MemoryFileSystem::Inode*> MemoryFileSystem::FindDirectory(const Caller& caller, FileId id) {
  TRY(Inode * inode, Find(caller, id));
  if (inode->attributes.type != FileType::kDirectory) return Error(Code::kNotDirectory);
  return inode;
}

Result<MemoryFileSystem::Inode*> MemoryFileSystem::FindRegular(const Caller& caller, FileId id) {
  TRY(Inode * inode, Find(caller, id));
  if (inode->attributes.type == FileType::kDirectory) return Error(Code::kIsDirectory);
  if (inode->attributes.type != FileType::kRegular) return Error(Code::kInvalid);
  return inode;
}

MemoryFileSystem::Inode* MemoryFileSystem::Child(const Inode& directory, std::string_view name) {
  auto entry = directory.entries.find(name);
  return entry == directory.entries.end() ? nullptr : &inodes_.at(entry->second.inode);
}

bool MemoryFileSystem::RealmWithin(RealmId realm, RealmId outer) const {
  for (auto at = realms_.find(realm); at != realms_.end(); at = realms_.find(at->second.parent)) {
    if (at->first == outer) return true;
  }
  return false;
}

bool MemoryFileSystem::IsRealmRoot(const Inode& inode) const {
  auto realm = realms_.find(inode.attributes.realm);
  return realm != realms_.end() && realm->second.root == inode.attributes.id.inode;
}

Result<void> MemoryFileSystem::Charge(RealmId realm, Delta delta) {
  for (auto at = realms_.find(realm); at != realms_.end(); at = realms_.find(at->second.parent)) {
    const auto& [quota, usage] = std::tie(at->second.quota, at->second.usage);
    bool bytes = delta.bytes > 0 && quota.bytes_max != 0 &&
                 usage.bytes + static_cast<uint64_t>(delta.bytes) > quota.bytes_max;
    bool files = delta.files > 0 && quota.files_max != 0 &&
                 usage.files + static_cast<uint64_t>(delta.files) > quota.files_max;
    if (bytes || files) return Error(Code::kQuota);
  }
  Count(realm, delta);
  return Ok();
}

void MemoryFileSystem::Count(RealmId realm, Delta delta) {
  for (auto at = realms_.find(realm); at != realms_.end(); at = realms_.find(at->second.parent)) {
    at->second.usage.bytes += static_cast<uint64_t>(delta.bytes);
    at->second.usage.files += static_cast<uint64_t>(delta.files);
  }
}

void MemoryFileSystem::Changed(Inode& inode) {
  ++inode.attributes.change;
  inode.attributes.change_time = Now();
}

void MemoryFileSystem::DataChanged(Inode& inode) {
  Changed(inode);
  inode.attributes.modify_time = inode.attributes.change_time;
}

void MemoryFileSystem::ShowSize(Inode& inode) {
  inode.attributes.size = inode.data.size();
  inode.attributes.space_used = inode.data.allocated() + inode.xattr_bytes;
}

Result<FileId> MemoryFileSystem::RealmRoot(RealmId realm) {
  std::lock_guard lock(mutex_);
  auto found = realms_.find(realm);
  if (found == realms_.end()) return Error(Code::kNotFound);
  return inodes_.at(found->second.root).attributes.id;
}

void MemoryFileSystem::SimulateRestart() {
  std::lock_guard lock(mutex_);
  ++verifier_;
  keeps_orphans_ = true;
  for (auto& [number, inode] : inodes_) {
    inode.pins = 0;
    if (!inode.committed) continue;
    auto before = static_cast<int64_t>(inode.attributes.space_used);
    inode.data = std::move(*inode.committed);
    inode.committed.reset();
    ShowSize(inode);
    Count(inode.attributes.realm,
          {.bytes = static_cast<int64_t>(inode.attributes.space_used) - before, .files = 0});
    DataChanged(inode);
  }
}

const MemoryFileSystem::Replay* MemoryFileSystem::Replayed(const Caller& caller) const {
  if (!caller.replay) return nullptr;
  auto kept = replays_.find(caller.replay->slot);
  bool same = kept != replays_.end() && kept->second.sequence == caller.replay->sequence;
  return same ? &kept->second : nullptr;
}

void MemoryFileSystem::Keep(const Caller& caller, const Replay& replay) {
  if (!caller.replay) return;
  Replay& kept = replays_[caller.replay->slot];
  kept = replay;
  kept.sequence = caller.replay->sequence;
}

Result<void> MemoryFileSystem::ForgetReplays(std::string_view prefix) {
  std::lock_guard lock(mutex_);
  auto begin = replays_.lower_bound(prefix);
  auto end = begin;
  while (end != replays_.end() && end->first.starts_with(prefix)) ++end;
  replays_.erase(begin, end);
  return Ok();
}

}  // namespace tarn::engine
