// CreateFileSystem, DescribeFileSystems, UpdateFileSystem, DeleteFileSystem.
#include <spdlog/spdlog.h>

#include "common/ids.h"
#include "server/control/errors.h"
#include "server/control/manager.h"
#include "server/control/tags.h"
#include "server/control/validate.h"

namespace tarn::control {
namespace {

// The request as it is compared with a repetition: defaults filled in; tags may have changed since.
v1::CreateFileSystemRequest Normalised(const v1::CreateFileSystemRequest& request) {
  v1::CreateFileSystemRequest normal = request;
  if (normal.performance_mode().empty()) normal.set_performance_mode("generalPurpose");
  if (normal.throughput_mode().empty()) {
    normal.set_throughput_mode(normal.performance_mode() == "maxIO" ? "bursting" : "elastic");
  }
  normal.clear_tags();
  normal.clear_file_system_id();
  return normal;
}

Result<void> CheckCreate(const v1::CreateFileSystemRequest& request) {
  TRY(CheckToken("creation_token", request.creation_token()));
  if (!request.file_system_id().empty()) {
    TRY(CheckId("file_system_id", kFileSystemPrefix, request.file_system_id()));
  }
  TRY(CheckTags(request.tags()));
  TRY(CheckZone(request.availability_zone_name()));
  if (!request.kms_key_id().empty() && !request.encrypted()) {
    return BadRequest("kms_key_id is for encrypted file systems: set encrypted too");
  }
  v1::CreateFileSystemRequest normal = Normalised(request);
  if (normal.performance_mode() == "maxIO" && !normal.availability_zone_name().empty()) {
    return BadRequest(
        "performance_mode maxIO is not for One Zone: leave out availability_zone_name");
  }
  return CheckThroughput(normal.performance_mode(), normal.throughput_mode(),
                         normal.provisioned_throughput_in_mibps());
}

}  // namespace

Result<Manager::FileSystemPtr> Manager::FindFileSystem(const std::string& id) {
  TRY(CheckId("file_system_id", kFileSystemPrefix, id));
  auto found = file_systems_.find(id);
  if (found == file_systems_.end()) return FileSystemNotFound(id);
  return found->second;
}

Result<Manager::FileSystemPtr> Manager::FindMade(const std::string& id) {
  TRY(FileSystemPtr fs, FindFileSystem(id));
  if (!fs->available()) {
    return WrongFileSystemState(id, fs->record.description().life_cycle_state());
  }
  return fs;
}

Result<Manager::FileSystemPtr> Manager::FindAvailable(const std::string& id) {
  TRY(FileSystemPtr fs, FindMade(id));
  TRY(CheckUnlocked(*fs));
  return fs;
}

void Manager::PublishRoot(FileSystem& fs, vfs::FileId root) {
  auto entry = std::make_shared<nfs4::Export>();
  entry->file_system = fs.record.number();
  entry->engine = fs.engine;
  entry->root = root;
  entry->delegations = DelegationsTag(fs.record.description().tags());
  entry->file_system_arn = ArnOf(fs);
  exports_.Publish(std::move(entry));
}

// A crash between the engine's creation and our record leaves an empty file system in the engine
// that nothing names; it costs a few hundred bytes.
Result<void> Manager::MakeInEngine(FileSystem& fs, const SecretBytes* data_key) {
  TRY(uint32_t number, engine_.CreateFileSystem(data_key));
  TRY(vfs::FileSystem * made, engine_.GetFileSystem(number));
  TRY(vfs::FileId root, made->RealmRoot(vfs::kRootRealm));
  decltype(fs.sealer) sealer;
  // Nothing says "available" before the record does.
  records::FileSystem record = fs.record;
  record.set_number(number);
  if (data_key != nullptr) {
    TRY(sealer, RecordSealer(*data_key));
    record.set_root_inode(root.inode);
    record.set_root_generation(root.generation);
  }
  record.mutable_description()->set_life_cycle_state("available");
  TRY(store_.Put(record));
  fs.record = std::move(record);
  fs.engine = made;
  fs.sealer = std::move(sealer);
  PublishRoot(fs, root);
  return Ok();
}

Result<v1::FileSystemDescription> Manager::Repeated(FileSystem& fs,
                                                    const v1::CreateFileSystemRequest& request) {
  bool other_id = !request.file_system_id().empty() && request.file_system_id() != fs.id();
  bool same = Normalised(request).SerializeAsString() == fs.record.request().SerializeAsString();
  if (other_id || !same) return FileSystemAlreadyExists(fs.id(), request.creation_token());
  if (!fs.available()) {
    return WrongFileSystemState(fs.id(), fs.record.description().life_cycle_state());
  }
  TRY(CheckUnlocked(fs));
  return Describe(fs);
}

Result<v1::FileSystemDescription> Manager::CreateFileSystem(
    const v1::CreateFileSystemRequest& request) {
  TRY(CheckCreate(request));
  std::string id = request.file_system_id();
  if (id.empty()) id = MintId(kFileSystemPrefix);
  std::optional<NewKey> key;
  if (request.encrypted()) {
    {
      std::lock_guard lock(mutex_);
      auto known = file_system_tokens_.find(request.creation_token());
      if (known != file_system_tokens_.end()) {
        return Repeated(*file_systems_.at(known->second), request);
      }
    }
    TRY(key, MakeKey(id, request.kms_key_id()));
  }
  std::lock_guard lock(mutex_);
  auto known = file_system_tokens_.find(request.creation_token());
  if (known != file_system_tokens_.end()) {
    return Repeated(*file_systems_.at(known->second), request);
  }
  if (auto taken = file_systems_.find(id); taken != file_systems_.end()) {
    return FileSystemAlreadyExists(id, taken->second->record.description().creation_token());
  }
  if (file_systems_.size() >= options_.file_systems_max) {
    return FileSystemLimitExceeded("there are " + std::to_string(file_systems_.size()) +
                                   " file systems, the most that are allowed: delete one");
  }
  v1::CreateFileSystemRequest normal = Normalised(request);
  auto fs = std::make_shared<FileSystem>();
  *fs->record.mutable_request() = normal;
  auto& description = *fs->record.mutable_description();
  description.set_file_system_id(id);
  description.set_creation_token(normal.creation_token());
  description.set_creation_time(NowSeconds());
  description.set_life_cycle_state("creating");
  description.set_performance_mode(normal.performance_mode());
  description.set_throughput_mode(normal.throughput_mode());
  description.set_provisioned_throughput_in_mibps(normal.provisioned_throughput_in_mibps());
  description.set_availability_zone_name(normal.availability_zone_name());
  description.set_owner_id(options_.owner_id);
  *description.mutable_tags() = request.tags();
  description.set_name(NameTag(request.tags()));
  if (key) {
    description.set_encrypted(true);
    description.set_kms_key_id(key->name);
    fs->record.set_data_key(key->blob);
  }
  // The wrapped key is in the record before the engine has a file system of it, so that there is
  // none that nobody can unlock.
  TRY(store_.Put(fs->record));
  auto made = MakeInEngine(*fs, key ? &key->data_key : nullptr);
  if (!made.ok()) {
    // Nobody was told of it; when this fails too, the next start makes it.
    (void)store_.Delete(fs->record);
    return made.error();
  }
  file_systems_[id] = fs;
  file_system_tokens_[normal.creation_token()] = id;
  if (key) keeper_->Add(id, key->name, key->blob, /*unlocked=*/true);
  return Describe(*fs);
}

v1::FileSystemDescription Manager::Describe(const FileSystem& fs) {
  v1::FileSystemDescription description = fs.record.description();
  description.set_file_system_arn(ArnOf(fs));
  description.set_number_of_mount_targets(static_cast<uint32_t>(fs.mount_targets.size()));
  DescribeEncryption(fs, description);
  if (fs.engine == nullptr) return description;
  auto space = fs.engine->GetSpace(vfs::kRootRealm);
  if (!space.ok()) return description;
  auto& size = *description.mutable_size_in_bytes();
  size.set_value(space->usage.bytes);
  size.set_value_in_standard(space->usage.bytes);
  size.set_timestamp(NowSeconds());
  description.set_files(space->usage.files);
  return description;
}

Result<v1::DescribeFileSystemsResponse> Manager::DescribeFileSystems(
    const v1::DescribeFileSystemsRequest& request) {
  TRY(uint32_t page, PageSize("max_items", request.max_items()));
  if (!request.file_system_id().empty() && !request.creation_token().empty()) {
    return BadRequest("Request cannot contain both a file system ID and a creation token.");
  }
  std::lock_guard lock(mutex_);
  v1::DescribeFileSystemsResponse response;
  if (!request.file_system_id().empty()) {
    TRY(FileSystemPtr fs, FindFileSystem(request.file_system_id()));
    *response.add_file_systems() = Describe(*fs);
    return response;
  }
  if (!request.creation_token().empty()) {
    auto found = file_system_tokens_.find(request.creation_token());
    if (found == file_system_tokens_.end()) return response;
    *response.add_file_systems() = Describe(*file_systems_.at(found->second));
    return response;
  }
  for (auto at = file_systems_.upper_bound(request.marker()); at != file_systems_.end(); ++at) {
    if (static_cast<uint32_t>(response.file_systems_size()) == page) {
      response.set_next_marker(
          response.file_systems(response.file_systems_size() - 1).file_system_id());
      break;
    }
    *response.add_file_systems() = Describe(*at->second);
  }
  return response;
}

Result<v1::FileSystemDescription> Manager::UpdateFileSystem(
    const v1::UpdateFileSystemRequest& request) {
  std::lock_guard lock(mutex_);
  TRY(FileSystemPtr fs, FindAvailable(request.file_system_id()));
  records::FileSystem record = fs->record;
  auto& description = *record.mutable_description();
  const auto& old = fs->record.description();
  double mibps = request.provisioned_throughput_in_mibps();
  if (!request.throughput_mode().empty()) {
    description.set_throughput_mode(request.throughput_mode());
  }
  bool provisioned = description.throughput_mode() == "provisioned";
  if (mibps == 0 && provisioned) mibps = old.provisioned_throughput_in_mibps();
  description.set_provisioned_throughput_in_mibps(mibps);
  TRY(CheckThroughput(description.performance_mode(), description.throughput_mode(), mibps));
  if (HasArchiveRule(record.lifecycle()) && description.throughput_mode() != "elastic") {
    return BadRequest(
        "throughput_mode must stay elastic while the lifecycle configuration has "
        "transition_to_archive: remove that first");
  }
  bool other_mode = description.throughput_mode() != old.throughput_mode();
  double before = old.provisioned_throughput_in_mibps();
  if (!other_mode && mibps == before) return Describe(*fs);
  if (other_mode || mibps < before) {
    auto wait = record.throughput_changed() + options_.throughput_cooldown.count() - NowSeconds();
    if (options_.throughput_cooldown.count() > 0 && record.throughput_changed() != 0 && wait > 0) {
      return TooManyRequests(
          "the throughput mode can change, and provisioned throughput decrease, "
          "again in " +
          std::to_string(wait) + " seconds");
    }
    record.set_throughput_changed(NowSeconds());
  }
  TRY(store_.Put(record));
  fs->record = std::move(record);
  return Describe(*fs);
}

Result<v1::Empty> Manager::DeleteFileSystem(const v1::DeleteFileSystemRequest& request) {
  FileSystemPtr fs;
  {
    std::lock_guard lock(mutex_);
    TRY(fs, FindFileSystem(request.file_system_id()));
    if (fs->record.description().life_cycle_state() == "deleting") return v1::Empty();
    if (!fs->mount_targets.empty()) {
      return FileSystemInUse("Must delete all mount targets before deleting file system.",
                             fs->mount_targets.begin()->second);
    }
    if (default_is_fixed_ && default_file_system_ == fs->id()) {
      return FileSystemInUse("File system '" + fs->id() +
                                 "' is the one of --file-system-id: start the server without it",
                             fs->id());
    }
    records::FileSystem record = fs->record;
    record.mutable_description()->set_life_cycle_state("deleting");
    TRY(store_.Put(record));
    fs->record = std::move(record);
    while (!fs->access_points.empty()) {
      AccessPointPtr ap = fs->access_points.begin()->second;
      fs->doomed.push_back(ap->record);
      Erase(ap);
    }
    for (const AccessPointPtr& ap : fs->sealed) {
      const std::string& id = ap->record.description().access_point_id();
      fs->doomed.push_back(ap->record);
      exports_.RemoveName(fs->record.number(), id);
      exports_.Withdraw(fs->record.number(), ap->record.number());
      sealed_.erase(id);
    }
    fs->sealed.clear();
    keeper_->Remove(fs->id());
    exports_.Withdraw(fs->record.number(), 0);
    fs->engine = nullptr;
  }
  FinishDelete(fs);
  return v1::Empty();
}

bool Manager::FinishDelete(const FileSystemPtr& fs) {
  uint32_t number = 0;
  {
    std::lock_guard lock(mutex_);
    if (fs->finishing) return false;
    fs->finishing = true;
    number = fs->record.number();
  }
  auto done = number == 0 ? Ok() : engine_.DeleteFileSystem(number);
  for (const auto& ap : fs->doomed) {
    if (done.ok() || done.code() == Code::kNotFound) done = store_.Delete(ap);
  }
  std::lock_guard lock(mutex_);
  fs->finishing = false;
  if (done.ok() || done.code() == Code::kNotFound) done = store_.Delete(fs->record);
  if (!done.ok()) {
    spdlog::warn("file system {} is not deleted yet: {}", fs->id(), done.error().ToString());
    return false;
  }
  file_system_tokens_.erase(fs->record.description().creation_token());
  file_systems_.erase(fs->id());
  policies_.Set(number, nullptr);
  return true;
}

Result<void> Manager::EnsureDefaultFileSystem(const std::string& id, const std::string& key) {
  TRY(CheckId("file_system_id", kFileSystemPrefix, id));
  bool there = false;
  {
    std::lock_guard lock(mutex_);
    // Before it is made: a start that is refused leaves nothing behind.
    if (!default_file_system_.empty() && default_file_system_ != id) {
      return MountTargetConflict(
          "the data directory holds file system '" + default_file_system_ +
              "', whose mount targets stand on the default listener: serve that one, or delete "
              "them first, or use another directory for '" +
              id + "'",
          default_file_system_);
    }
    there = file_systems_.contains(id);
  }
  if (!there) {
    v1::CreateFileSystemRequest request;
    request.set_creation_token(id);
    request.set_file_system_id(id);
    request.set_encrypted(!key.empty());
    request.set_kms_key_id(key);
    TRY(CreateFileSystem(request));
  }
  std::lock_guard lock(mutex_);
  TRY(FileSystemPtr fs, FindFileSystem(id));
  const std::string& state = fs->record.description().life_cycle_state();
  // A locked one is fine: it is served as soon as its key is there. So is one of which a crash left
  // the intent alone: it is made then.
  const bool is_made_later = fs->encrypted() && state == "creating";
  if (!fs->available() && !is_made_later) return WrongFileSystemState(id, state);
  if (!key.empty() && !fs->encrypted()) {
    return BadRequest("file system '" + id + "' is there, and is not encrypted, which cannot be " +
                      "changed: start without --file-system-key, or copy its files into a new one");
  }
  if (is_made_later) {
    default_file_system_ = id;
  } else {
    BindDefault(*fs);
  }
  default_is_fixed_ = true;
  return Ok();
}

}  // namespace tarn::control
