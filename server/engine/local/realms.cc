#include "server/engine/local/realms.h"

#include <mutex>

namespace tarn::local {

RealmRecord Realm::Record() const {
  RealmRecord record;
  record.state = state.load();
  Realm* above = parent.load();
  record.parent = above != nullptr ? above->id : 0;
  record.root = root;
  record.root_generation = root_generation;
  record.quota = {bytes_max.load(), files_max.load()};
  return record;
}

Result<void> Realms::Load() {
  std::string prefix = MetaPrefix('R', fs_);
  Result<void> status;
  std::vector<std::pair<vfs::RealmId, RealmRecord>> found;
  TRY(store_.Scan(Table::kMeta, prefix, After(prefix), [&](auto key, auto value) {
    auto record = DecodeRealm(value);
    if (!record) status = record.error();
    if (record) found.emplace_back(NumberAt(key, prefix.size()), *record);
    return record.ok();
  }));
  TRY(std::move(status));
  // A realm may be older than the one around it, so parents are set when all are there.
  for (auto& [id, record] : found) {
    RealmRecord alone = record;
    alone.parent = 0;
    Realm* realm = Add(id, alone);
    TRY(auto usage, store_.Get(Table::kMeta, UsageKey(fs_, id)));
    if (!usage) continue;
    TRY(UsageDelta total, DecodeUsage(*usage));
    realm->bytes = total.bytes;
    realm->files = total.files;
  }
  for (auto& [id, record] : found) {
    if (id == vfs::kRootRealm && record.parent == 0) continue;
    Realm* above = Find(record.parent);
    if (id == 0 || above == nullptr) {
      return Error(Code::kCorrupt, "realm " + std::to_string(id) + " lies in realm " +
                                       std::to_string(record.parent) + ", which is not there");
    }
    Find(id)->parent = above;
  }
  if (Find(vfs::kRootRealm) == nullptr) return Error(Code::kCorrupt, "the root realm is not there");
  return CheckNesting();
}

// All else goes from a realm to those around it until there is none.
Result<void> Realms::CheckNesting() const {
  for (Realm* inner : All()) {
    size_t depth = 0;
    for (Realm* realm = inner; realm != nullptr; realm = realm->parent.load()) {
      if (++depth <= realms_.size()) continue;
      return Error(Code::kCorrupt, "realm " + std::to_string(inner->id) + " lies in itself");
    }
  }
  return Ok();
}

Realm* Realms::Find(vfs::RealmId id) const {
  std::shared_lock lock(mutex_);
  auto found = realms_.find(id);
  return found == realms_.end() ? nullptr : found->second.get();
}

Result<Realm*> Realms::FindLive(vfs::RealmId id) const {
  Realm* realm = Find(id);
  if (realm == nullptr || realm->state.load() > RealmState::kEntering) {
    return Error(Code::kNotFound, "no realm " + std::to_string(id));
  }
  return realm;
}

Realm* Realms::FindByRoot(uint64_t inode) const {
  std::shared_lock lock(mutex_);
  for (auto& [id, realm] : realms_) {
    if (realm->root == inode && realm->state.load() <= RealmState::kEntering) return realm.get();
  }
  return nullptr;
}

std::vector<Realm*> Realms::All() const {
  std::shared_lock lock(mutex_);
  std::vector<Realm*> all;
  for (auto& [id, realm] : realms_) all.push_back(realm.get());
  return all;
}

Realm* Realms::Add(vfs::RealmId id, const RealmRecord& record) {
  auto realm = std::make_unique<Realm>();
  realm->id = id;
  realm->root = record.root;
  realm->root_generation = record.root_generation;
  realm->parent = record.parent != 0 ? Find(record.parent) : nullptr;
  realm->state = record.state;
  realm->bytes_max = record.quota.bytes_max;
  realm->files_max = record.quota.files_max;
  std::unique_lock lock(mutex_);
  Realm* added = realm.get();
  realms_[id] = std::move(realm);
  return added;
}

bool Realms::Reaches(vfs::RealmId from, vfs::RealmId to) const {
  if (from == vfs::kRootRealm && to == vfs::kRootRealm) return true;
  bool inside = false;
  for (Realm* realm = Find(to); realm != nullptr; realm = realm->parent.load()) {
    if (realm->state.load() == RealmState::kDying) return false;
    inside = inside || realm->id == from;
  }
  return inside;
}

Result<void> Realms::Charge(vfs::RealmId id, int64_t bytes, int64_t files) {
  auto exceeds = [](int64_t change, int64_t now, uint64_t limit) {
    return change > 0 && limit != 0 && now > 0 && static_cast<uint64_t>(now) > limit;
  };
  Realm* first = Find(id);
  for (Realm* realm = first; realm != nullptr; realm = realm->parent.load()) {
    int64_t bytes_now = realm->bytes.fetch_add(bytes) + bytes;
    int64_t files_now = realm->files.fetch_add(files) + files;
    if (!exceeds(bytes, bytes_now, realm->bytes_max.load()) &&
        !exceeds(files, files_now, realm->files_max.load())) {
      continue;
    }
    for (Realm* undo = first;; undo = undo->parent.load()) {
      undo->bytes -= bytes;
      undo->files -= files;
      if (undo == realm) break;
    }
    return Error(Code::kQuota);
  }
  return Ok();
}

void Realms::Charge(Batch& batch, vfs::RealmId id, int64_t bytes, int64_t files) const {
  for (Realm* realm = Find(id); realm != nullptr; realm = realm->parent.load()) {
    batch.AddUsage(UsageKey(fs_, realm->id), {bytes, files});
  }
}

void Realms::Put(Batch& batch, const Realm& realm) const {
  batch.Put(Table::kMeta, RealmKey(fs_, realm.id), Encode(realm.Record()));
}

}  // namespace tarn::local
