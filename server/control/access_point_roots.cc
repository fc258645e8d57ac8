// Root directories of access points: made at first use, their quota, their removal.
#include <algorithm>

#include "server/control/errors.h"
#include "server/control/manager.h"
#include "server/control/tags.h"
#include "server/control/validate.h"

namespace tarn::control {
namespace {

Result<std::optional<vfs::CreationInfo>> CreationOf(const v1::RootDirectory& root) {
  if (!root.has_creation_info()) return std::optional<vfs::CreationInfo>();
  const auto& info = root.creation_info();
  TRY(uint32_t permissions, ParsePermissions(info.permissions()));
  return std::optional(vfs::CreationInfo{
      .owner_uid = info.owner_uid(), .owner_gid = info.owner_gid(), .permissions = permissions});
}

}  // namespace

void Manager::PublishAccessPoint(const AccessPoint& ap) {
  auto entry = std::make_shared<nfs4::Export>();
  entry->file_system = ap.file_system->record.number();
  entry->number = ap.record.number();
  entry->engine = ap.file_system->engine;
  entry->root = {.inode = ap.record.root_inode(), .generation = ap.record.root_generation()};
  entry->realm = ap.record.realm();
  entry->delegations = DelegationsTag(ap.file_system->record.description().tags());
  const auto& description = ap.record.description();
  entry->file_system_arn = ArnOf(*ap.file_system);
  entry->access_point_arn = ArnOf(ap);
  if (description.has_posix_user()) {
    const auto& user = description.posix_user();
    entry->user =
        nfs4::PosixUser{.uid = user.uid(),
                        .gid = user.gid(),
                        .gids = {user.secondary_gids().begin(), user.secondary_gids().end()}};
  }
  exports_.Publish(std::move(entry));
}

Result<ExportPtr> Manager::FirstUse(std::string_view id) {
  AccessPointPtr ap;
  vfs::FileSystem* engine = nullptr;
  {
    std::lock_guard lock(mutex_);
    if (auto sealed = sealed_.find(std::string(id)); sealed != sealed_.end()) {
      // Its root directory cannot be known yet: the answer is the one of the file system.
      if (sealed->second->engine == nullptr) return AccessPointNotFound(id);
      auto root = sealed->second->engine->RealmRoot(vfs::kRootRealm);
      return root.ok() ? Error(Code::kUnavailable, "unlocked just now") : root.error();
    }
    TRY(ap, FindAccessPoint(std::string(id)));
    engine = ap->file_system->engine;
  }
  FileSystem& fs = *ap->file_system;
  if (engine == nullptr) return AccessPointNotFound(id);
  std::lock_guard roots(fs.roots_mutex);
  records::AccessPoint record;
  uint32_t number = 0;
  {
    std::lock_guard lock(mutex_);
    record = ap->record;
    number = fs.record.number();
  }
  if (record.description().life_cycle_state() != "available") return AccessPointNotFound(id);
  // Another call may have been first.
  auto made = exports_.Find(number, record.number());
  if (made.ok()) return made;
  const auto& root_directory = record.description().root_directory();
  TRY(auto creation, CreationOf(root_directory));
  TRY(vfs::RealmId realm, engine->EnsureRealm(root_directory.path(), creation));
  TRY(vfs::FileId root, engine->RealmRoot(realm));
  TRY(ApplyQuota(fs, root_directory.path(), realm));
  std::lock_guard lock(mutex_);
  // Tags may have changed meanwhile; after a lock and an unlock it is another object.
  auto now = FindAccessPoint(std::string(id));
  if (!now.ok()) return Error(Code::kUnavailable, "locked or deleted just now");
  ap = *std::move(now);
  record = ap->record;
  record.set_realm(realm);
  record.set_root_inode(root.inode);
  record.set_root_generation(root.generation);
  bool there = record.description().life_cycle_state() == "available" && fs.engine != nullptr;
  if (!there) return AccessPointNotFound(id);
  TRY(Put(fs, record));
  ap->record = std::move(record);
  PublishAccessPoint(*ap);
  return exports_.Find(number, ap->record.number());
}

// Access points of one root directory share its usage, so they share the most generous quota: each
// gets at least what it asked for.
vfs::Quota Manager::SharedQuota(const FileSystem& fs, const std::string& path) {
  vfs::Quota quota;
  bool bytes_free = false;
  bool files_free = false;
  auto [begin, end] = fs.by_path.equal_range(path);
  for (auto at = begin; at != end; ++at) {
    const auto& description = at->second->record.description();
    if (description.life_cycle_state() != "available") continue;
    bytes_free |= description.quota_bytes() == 0;
    files_free |= description.quota_files() == 0;
    quota.bytes_max = std::max<uint64_t>(quota.bytes_max, description.quota_bytes());
    quota.files_max = std::max<uint64_t>(quota.files_max, description.quota_files());
  }
  if (bytes_free) quota.bytes_max = 0;
  if (files_free) quota.files_max = 0;
  return quota;
}

Result<void> Manager::ApplyQuota(FileSystem& fs, const std::string& path, vfs::RealmId realm) {
  vfs::Quota quota;
  vfs::FileSystem* engine = nullptr;
  {
    std::lock_guard lock(mutex_);
    quota = SharedQuota(fs, path);
    engine = fs.engine;
  }
  if (engine == nullptr) return Ok();
  TRY(vfs::SpaceInfo space, engine->GetSpace(realm));
  bool same = quota.bytes_max == space.quota.bytes_max && quota.files_max == space.quota.files_max;
  return same ? Ok() : engine->SetQuota(realm, quota);
}

Result<v1::AccessPointDescription> Manager::UpdateAccessPoint(
    const v1::UpdateAccessPointRequest& request) {
  AccessPointPtr ap;
  vfs::FileSystem* engine = nullptr;
  {
    std::lock_guard lock(mutex_);
    TRY(ap, FindAccessPoint(request.access_point_id()));
    engine = ap->file_system->engine;
  }
  if (engine == nullptr) return AccessPointNotFound(request.access_point_id());
  FileSystem& fs = *ap->file_system;
  std::lock_guard roots(fs.roots_mutex);
  v1::AccessPointDescription now = Describe(ap);
  if (now.life_cycle_state() != "available") return AccessPointNotFound(request.access_point_id());
  if (request.quota_bytes() != 0 && request.quota_bytes() < now.used_bytes()) {
    return BadRequest("quota_bytes " + std::to_string(request.quota_bytes()) +
                      " is below the usage of " + std::to_string(now.used_bytes()) + " bytes");
  }
  if (request.quota_files() != 0 && request.quota_files() < now.used_files()) {
    return BadRequest("quota_files " + std::to_string(request.quota_files()) +
                      " is below the usage of " + std::to_string(now.used_files()) + " files");
  }
  vfs::RealmId realm = 0;
  {
    std::lock_guard lock(mutex_);
    TRY(ap, FindAccessPoint(request.access_point_id()));  // another object after a lock
    records::AccessPoint record = ap->record;
    realm = record.realm();
    record.mutable_description()->set_quota_bytes(request.quota_bytes());
    record.mutable_description()->set_quota_files(request.quota_files());
    TRY(Put(fs, record));
    ap->record = std::move(record);
  }
  if (realm != 0) TRY(ApplyQuota(fs, now.root_directory().path(), realm));
  return Describe(ap);
}

// Refused for "/", and when another access point lies in or above the directory, or shares it.
Result<void> Manager::CheckRootRemovable(const AccessPoint& ap) {
  const std::string& path = ap.record.description().root_directory().path();
  const std::string& id = ap.record.description().access_point_id();
  if (path == "/") {
    return BadRequest("delete_root_directory: the root directory of access point '" + id +
                      "' is the whole file system: delete it without its root directory");
  }
  for (const auto& [other_path, other] : ap.file_system->by_path) {
    if (other == &ap) continue;
    if (!IsWithin(other_path, path) && !IsWithin(path, other_path)) continue;
    const std::string& by = other->record.description().access_point_id();
    return Conflict("the root directory '" + path + "' of access point '" + id +
                        "' cannot be deleted: access point '" + by + "' has '" + other_path +
                        "'. Delete that first, or delete without the root directory",
                    by);
  }
  return Ok();
}

Result<v1::Empty> Manager::DeleteAccessPoint(const v1::DeleteAccessPointRequest& request) {
  AccessPointPtr ap;
  {
    std::lock_guard lock(mutex_);
    TRY(ap, FindAccessPoint(request.access_point_id()));
    // A repetition finishes what was begun, as it was begun.
    if (ap->record.description().life_cycle_state() == "available") {
      if (request.delete_root_directory()) TRY(CheckRootRemovable(*ap));
      records::AccessPoint record = ap->record;
      record.mutable_description()->set_life_cycle_state("deleting");
      record.set_delete_root_directory(request.delete_root_directory());
      FileSystem& fs = *ap->file_system;
      TRY(Put(fs, record));
      ap->record = std::move(record);
      exports_.RemoveName(fs.record.number(), request.access_point_id());
      exports_.Withdraw(fs.record.number(), ap->record.number());
    }
  }
  TRY(FinishDelete(ap));
  return v1::Empty();
}

Result<void> Manager::FinishDelete(AccessPointPtr ap) {
  FileSystem& fs = *ap->file_system;
  std::lock_guard roots(fs.roots_mutex);
  records::AccessPoint record;
  vfs::FileSystem* engine = nullptr;
  bool shared = false;
  std::string path;
  {
    std::lock_guard lock(mutex_);
    const std::string id = ap->record.description().access_point_id();
    if (!access_points_.contains(id) && !sealed_.contains(id)) return Ok();
    TRY(ap, FindAccessPoint(id));  // another object after a lock
    record = ap->record;
    engine = fs.engine;
    path = record.description().root_directory().path();
    shared = fs.by_path.count(path) > 1;
  }
  if (engine != nullptr && path != "/" && !(shared && !record.delete_root_directory())) {
    vfs::RealmId realm = record.realm();
    if (realm == 0 && record.delete_root_directory()) {
      // Never used, but the directory may be there all the same.
      auto found = engine->EnsureRealm(path, std::nullopt);
      if (found.ok()) realm = *found;
      if (!found.ok() && found.code() != Code::kNoEntry && found.code() != Code::kNotDirectory) {
        return found.error();
      }
    }
    if (realm != 0) {
      auto removed = engine->RemoveRealm(realm, record.delete_root_directory());
      if (!removed.ok() && removed.code() != Code::kNotFound) return removed.error();
    }
  } else if (engine != nullptr && record.realm() != 0) {
    TRY(ApplyQuota(fs, path, record.realm()));
  }
  std::lock_guard lock(mutex_);
  TRY(store_.Delete(record));
  Erase(ap);
  return Ok();
}

}  // namespace tarn::control
