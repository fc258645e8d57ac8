// Encryption at rest: data keys, locked file systems, records that are sealed, the keys' API.
#include <spdlog/spdlog.h>

#include "server/control/errors.h"
#include "server/control/manager.h"
#include "server/keys/data_key.h"

namespace tarn::control {
namespace {

v1::KeyDescription Describe(const KeyKeeper::KeyState& key) {
  v1::KeyDescription description;
  description.set_name(key.name);
  description.set_place(key.place);
  description.set_is_default(key.is_default);
  description.set_state(!key.known          ? "unknown"
                        : key.error.empty() ? "available"
                        : key.lost          ? "lost"
                                            : "unavailable");
  description.set_status_message(key.error);
  description.set_version(key.version);
  description.set_number_of_file_systems(static_cast<uint32_t>(key.file_systems));
  description.set_number_of_locked_file_systems(static_cast<uint32_t>(key.locked));
  return description;
}

}  // namespace

Result<Manager::NewKey> Manager::MakeKey(const std::string& id, const std::string& name) {
  NewKey made;
  if (options_.keys == nullptr || options_.keys->providers().empty()) {
    return BadRequest("encrypted: the server has no key: start it with --key NAME=URI");
  }
  made.name = name.empty() ? options_.keys->default_name() : name;
  if (made.name.empty()) {
    return BadRequest(
        "encrypted: the server has no default key: name one with kms_key_id, or start it with "
        "--default-key NAME");
  }
  keys::KeyProvider* provider = options_.keys->Find(made.name);
  if (provider == nullptr) {
    return BadRequest("kms_key_id '" + made.name + "' is no key of this server: describe its keys");
  }
  TRY(made.data_key, keys::MakeDataKey());
  const keys::Call call;
  auto blob = keys::WrapDataKey(*provider, id, made.data_key, call);
  // What cannot be unwrapped now will not be later.
  auto back = blob.ok() ? keys::UnwrapDataKey(*provider, id, *blob, call) : blob.error();
  if (!back.ok()) {
    const std::string why = "key '" + made.name + "': " + back.error().ToString();
    if (keys::IsDefinite(back.code())) return BadRequest("kms_key_id: " + why);
    return DependencyTimeout(why);
  }
  if (!back->Equals(made.data_key.view())) {
    return DependencyTimeout("key '" + made.name + "' does not unwrap what it wrapped");
  }
  made.blob = std::move(blob).value();
  return made;
}

Result<void> Manager::CheckUnlocked(const FileSystem& fs) {
  if (!fs.encrypted()) return Ok();
  auto why = keeper_->WhyLocked(fs.id());
  if (!why) return Ok();
  return Error(Code::kWrongState, "File system '" + fs.id() + "' is " + *why,
               "IncorrectFileSystemLifeCycleState", fs.id());
}

Error Manager::BeingLocked(const FileSystem& fs) {
  if (auto unlocked = CheckUnlocked(fs); !unlocked.ok()) return unlocked.error();
  return Error(Code::kUnavailable, "file system " + fs.id() + " is being locked or unlocked");
}

void Manager::DescribeEncryption(const FileSystem& fs, v1::FileSystemDescription& description) {
  if (!fs.encrypted()) return;
  auto version = keys::VersionOfBlob(fs.record.data_key());
  if (version.ok()) description.set_kms_key_version(*version);
  auto why = keeper_->WhyLocked(fs.id());
  if (!why) return;
  description.set_status_message(*why);
  if (fs.available()) description.set_life_cycle_state("error");
}

void Manager::AddSealed(const AccessPointPtr& ap) {
  FileSystem& fs = *ap->file_system;
  const auto& description = ap->record.description();
  fs.sealed.push_back(ap);
  sealed_[description.access_point_id()] = ap->file_system;
  if (description.life_cycle_state() != "available" || fs.engine == nullptr) return;
  // Handles of running mounts are known, and answered as the locked file system does.
  exports_.AddName(fs.record.number(), description.access_point_id(), ap->record.number());
  if (ap->record.realm() != 0) PublishAccessPoint(*ap);
}

// What is sealed on the disk is so in memory, too, once the key is gone. Exports stay all the time,
// so that no handle becomes stale.
void Manager::SealAll(FileSystem& fs) {
  if (fs.sealer == nullptr) return;
  const auto access_points = fs.access_points;
  for (const auto& [id, ap] : access_points) {
    auto record = SealRecord(*fs.sealer, ap->record);
    if (!record.ok()) {
      spdlog::error("access point {} stays in memory: {}", id, record.error().ToString());
      continue;
    }
    auto sealed = std::make_shared<AccessPoint>();
    sealed->record = *std::move(record);
    sealed->file_system = ap->file_system;
    Forget(ap);
    AddSealed(sealed);
  }
}

Result<std::vector<Manager::AccessPointPtr>> Manager::OpenSealed(const FileSystem& fs,
                                                                 const Sealer& sealer) {
  std::vector<AccessPointPtr> opened;
  for (const AccessPointPtr& sealed : fs.sealed) {
    auto ap = std::make_shared<AccessPoint>();
    ap->file_system = sealed->file_system;
    TRY(ap->record, OpenRecord(sealer, sealed->record));
    opened.push_back(std::move(ap));
  }
  return opened;
}

Result<void> Manager::Put(const FileSystem& fs, const records::AccessPoint& record) {
  if (!fs.encrypted()) return store_.Put(record);
  if (fs.sealer == nullptr) return BeingLocked(fs);
  TRY(records::AccessPoint sealed, SealRecord(*fs.sealer, record));
  return store_.Put(sealed);
}

Result<void> Manager::UnlockFileSystem(const std::string& id, const SecretBytes& data_key) {
  TRY(auto sealer, RecordSealer(data_key));
  FileSystemPtr fs;
  uint32_t number = 0;
  std::vector<AccessPointPtr> opened;
  {
    std::lock_guard lock(mutex_);
    const auto found = file_systems_.find(id);
    if (found == file_systems_.end()) return Ok();
    fs = found->second;
    const std::string& state = fs->record.description().life_cycle_state();
    if (state == "deleting") return Ok();
    if (state == "creating") {
      TRY(MakeInEngine(*fs, &data_key));
      if (default_file_system_ == id) BindDefault(*fs);
      return Ok();
    }
    number = fs->record.number();
    TRY(opened, OpenSealed(*fs, *sealer));
  }
  TRY(engine_.Unlock(number, data_key));
  {
    std::lock_guard lock(mutex_);
    if (fs->record.description().life_cycle_state() == "deleting") return Ok();
    fs->sealer = std::move(sealer);
    for (const AccessPointPtr& ap : opened) {
      // Not there: deleted since it was opened.
      if (sealed_.erase(ap->record.description().access_point_id()) > 0) Insert(ap);
    }
    fs->sealed.clear();
  }
  ReapplyQuotas(fs.get());
  return Ok();
}

void Manager::LockFileSystem(const std::string& id, vfs::LockReason reason) {
  uint32_t number = 0;
  {
    std::lock_guard lock(mutex_);
    const auto found = file_systems_.find(id);
    if (found == file_systems_.end()) return;
    SealAll(*found->second);
    found->second->sealer = nullptr;
    number = found->second->record.number();
  }
  if (number == 0) return;  // not made yet
  auto locked = engine_.Lock(number, reason);
  if (!locked.ok() && locked.code() != Code::kNotFound) {
    spdlog::error("file system {} is locked, but lost writes: {}", id, locked.error().ToString());
  }
}

Result<void> Manager::StoreRewrapped(const std::string& id, const std::string& before,
                                     const std::string& blob) {
  std::lock_guard lock(mutex_);
  TRY(FileSystemPtr fs, FindFileSystem(id));
  if (fs->record.description().life_cycle_state() == "deleting") return Ok();
  if (fs->record.data_key() != before) {
    return Error(Code::kAborted, "file system " + id + " has another data key meanwhile");
  }
  records::FileSystem record = fs->record;
  record.set_data_key(blob);
  TRY(store_.Put(record));
  fs->record = std::move(record);
  return Ok();
}

Result<v1::DescribeKeysResponse> Manager::DescribeKeys(const v1::DescribeKeysRequest& request) {
  v1::DescribeKeysResponse response;
  if (request.check()) {
    if (request.name().empty()) return BadRequest("check needs the name of a key");
    auto key = keeper_->CheckNow(request.name());
    if (!key.ok()) return BadRequest(key.error().message());
    *response.add_keys() = control::Describe(*key);
    return response;
  }
  for (const KeyKeeper::KeyState& key : keeper_->Keys()) {
    if (!request.name().empty() && request.name() != key.name) continue;
    *response.add_keys() = control::Describe(key);
  }
  if (response.keys().empty() && !request.name().empty()) {
    return BadRequest("the server has no key '" + request.name() + "': start it with --key");
  }
  return response;
}

Result<v1::FileSystemDescription> Manager::RewrapDataKey(const v1::RewrapDataKeyRequest& request) {
  {
    std::lock_guard lock(mutex_);
    TRY(FileSystemPtr fs, FindFileSystem(request.file_system_id()));
    if (!fs->encrypted()) {
      return BadRequest("file system '" + fs->id() + "' is not encrypted: it has no data key");
    }
    if (!fs->available()) {
      return WrongFileSystemState(fs->id(), fs->record.description().life_cycle_state());
    }
  }
  auto done = keeper_->Rewrap(request.file_system_id());
  if (!done.ok() && done.code() == Code::kUnavailable) {
    return DependencyTimeout(done.error().message());
  }
  TRY(std::move(done));
  std::lock_guard lock(mutex_);
  TRY(FileSystemPtr fs, FindFileSystem(request.file_system_id()));
  return Describe(*fs);
}

}  // namespace tarn::control
