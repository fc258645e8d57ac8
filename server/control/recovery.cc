// Opening: reading the resources, finishing what a crash left, and the housekeeping thread.
#include <spdlog/spdlog.h>

#include <set>

#include "server/control/manager.h"

namespace tarn::control {

Manager::Manager(vfs::Engine& engine, const Clock& clock, const Options& options)
    : engine_(engine),
      clock_(clock),
      options_(options),
      exports_([this](std::string_view id) { return FirstUse(id); }),
      store_(engine.records()),
      scrubs_(clock) {
  if (options.closed) exports_.CloseWithoutList();
  static const keys::KeyRing kNoKeys;
  keeper_ = std::make_unique<KeyKeeper>(options.keys != nullptr ? *options.keys : kNoKeys, clock,
                                        options.keeper, static_cast<KeyOwner&>(*this));
}

Manager::~Manager() {
  StopServing();
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    wake_.notify_all();
  }
  if (housekeeper_.joinable()) housekeeper_.join();  // it asks the keeper
  keeper_ = nullptr;
  // An access point and its file system hold each other.
  for (auto& [id, fs] : file_systems_) {
    fs->access_points.clear();
    fs->sealed.clear();
  }
}

Result<std::unique_ptr<Manager>> Manager::Open(vfs::Engine& engine, const Clock& clock,
                                               const Options& options) {
  std::unique_ptr<Manager> manager(new Manager(engine, clock, options));
  TRY(manager->Load());
  manager->housekeeper_ = std::thread([raw = manager.get()] { raw->RunHousekeeping(); });
  if (options.keeper_threads) manager->keeper_->Start();
  return manager;
}

Result<void> Manager::Load() {
  std::vector<records::FileSystem> file_systems;
  {
    std::lock_guard lock(mutex_);
    Store::Visitor visitor;
    visitor.file_system = [&](records::FileSystem r) { file_systems.push_back(std::move(r)); };
    std::vector<records::AccessPoint> access_points;
    std::vector<records::MountTarget> mount_targets;
    visitor.access_point = [&](records::AccessPoint r) { access_points.push_back(std::move(r)); };
    visitor.mount_target = [&](records::MountTarget r) { mount_targets.push_back(std::move(r)); };
    TRY(store_.Load(visitor));
    TRY(scrubbed_, store_.Scrubbed());
    for (auto& record : file_systems) TRY(LoadFileSystem(std::move(record)));
    for (auto& record : access_points) LoadAccessPoint(std::move(record));
    for (auto& record : mount_targets) LoadMountTarget(std::move(record));
    std::set<uint64_t> listeners;
    for (const auto& [id, target] : mount_targets_) listeners.insert(target.record.tag());
    for (uint64_t tag : listeners) EnforceGroups(tag);
  }
  ReapplyQuotas();
  Housekeep();
  return Ok();
}

Result<void> Manager::LoadFileSystem(records::FileSystem record) {
  auto fs = std::make_shared<FileSystem>();
  fs->record = std::move(record);
  auto& description = *fs->record.mutable_description();
  file_systems_[fs->id()] = fs;
  file_system_tokens_[description.creation_token()] = fs->id();
  if (description.life_cycle_state() == "deleting") return Ok();
  const bool encrypted = description.encrypted();
  if (encrypted) {
    keeper_->Add(fs->id(), description.kms_key_id(), fs->record.data_key(), /*unlocked=*/false);
  }
  if (description.life_cycle_state() == "creating") {
    return encrypted ? Ok() : MakeInEngine(*fs, nullptr);  // that one is made when its key is there
  }
  auto engine = engine_.GetFileSystem(fs->record.number());
  Result<vfs::FileId> root =
      vfs::FileId{.inode = fs->record.root_inode(), .generation = fs->record.root_generation()};
  if (!engine.ok()) root = engine.error();
  if (engine.ok() && !encrypted) root = (*engine)->RealmRoot(vfs::kRootRealm);
  if (!root.ok()) {
    // One broken file system must not keep the others from being served.
    spdlog::error("file system {} cannot be opened: {}", fs->id(), root.error().ToString());
    description.set_life_cycle_state("error");
    return Ok();
  }
  fs->engine = *engine;
  EnforcePolicy(*fs);
  PublishRoot(*fs, *root);
  return Ok();
}

void Manager::LoadAccessPoint(records::AccessPoint record) {
  auto found = file_systems_.find(record.description().file_system_id());
  if (found == file_systems_.end()) {
    // Its file system was deleted, and the crash came before this record went.
    if (auto gone = store_.Delete(record); !gone.ok()) {
      spdlog::warn("a record of access point {} is left over: {}",
                   record.description().access_point_id(), gone.error().ToString());
    }
    return;
  }
  if (found->second->record.description().life_cycle_state() == "deleting") {
    found->second->doomed.push_back(std::move(record));
    return;
  }
  auto ap = std::make_shared<AccessPoint>();
  ap->record = std::move(record);
  ap->file_system = found->second;
  if (!ap->record.sealed().empty()) return AddSealed(ap);
  Insert(ap);
}

void Manager::LoadMountTarget(records::MountTarget record) {
  const auto& description = record.description();
  auto found = file_systems_.find(description.file_system_id());
  if (found == file_systems_.end()) return;
  FileSystem& fs = *found->second;
  fs.mount_targets[description.availability_zone_name()] = description.mount_target_id();
  if (record.tag() == kDefaultListenerTag) {
    BindDefault(fs);
  } else {
    exports_.BindListener(record.tag(), fs.record.number());
  }
  std::string id = description.mount_target_id();
  mount_targets_[id].record = std::move(record);
}

// A crash may have come between the record of a quota and the engine's.
// Mutex not held.
void Manager::ReapplyQuotas(const FileSystem* only) {
  std::map<std::string, AccessPointPtr> access_points;
  {
    std::lock_guard lock(mutex_);
    access_points = only == nullptr ? access_points_ : only->access_points;
  }
  for (auto& [id, ap] : access_points) {
    bool live = ap->record.description().life_cycle_state() == "available";
    if (!live || ap->record.realm() == 0 || ap->file_system->engine == nullptr) continue;
    auto applied = ApplyQuota(*ap->file_system, ap->record.description().root_directory().path(),
                              ap->record.realm());
    if (!applied.ok()) {
      spdlog::warn("the quota of access point {} is not in force: {}", id,
                   applied.error().ToString());
    }
  }
}

void Manager::RunHousekeeping() {
  Lock lock(mutex_);
  while (!stopping_) {
    wake_.wait_for(lock, kHousekeepingInterval, [this] { return stopping_ || wake_now_; });
    if (stopping_) return;
    wake_now_ = false;
    lock.unlock();
    Housekeep();
    ScrubWhenDue();
    lock.lock();
  }
}

void Manager::Housekeep() {
  std::vector<FileSystemPtr> file_systems;
  std::map<std::string, AccessPointPtr> access_points;
  {
    std::lock_guard lock(mutex_);
    for (auto& [id, fs] : file_systems_) {
      if (fs->record.description().life_cycle_state() == "deleting") file_systems.push_back(fs);
      for (auto& [ap_id, ap] : fs->access_points) {
        if (ap->record.description().life_cycle_state() == "deleting") access_points[ap_id] = ap;
      }
    }
    for (auto& [id, target] : mount_targets_) {
      if (server_ == nullptr || target.listening || target.record.tag() == kDefaultListenerTag) {
        continue;
      }
      if (StartListening(target).ok()) spdlog::info("mount target {} listens now", id);
    }
  }
  for (auto& fs : file_systems) FinishDelete(fs);
  for (auto& [id, ap] : access_points) {
    if (auto done = FinishDelete(ap); !done.ok()) {
      spdlog::warn("access point {} is not deleted yet: {}", id, done.error().ToString());
    }
  }
}

int64_t Manager::NowSeconds() const {
  return std::chrono::duration_cast<std::chrono::seconds>(clock_.Now()).count();
}

std::vector<Manager::FileSystemUsage> Manager::Usage() {
  std::vector<FileSystemUsage> all;
  std::lock_guard lock(mutex_);
  for (auto& [id, fs] : file_systems_) {
    if (fs->engine == nullptr) continue;
    auto space = fs->engine->GetSpace(vfs::kRootRealm);
    if (space.ok()) all.push_back({id, space->usage, fs->access_points.size()});
  }
  return all;
}

}  // namespace tarn::control
