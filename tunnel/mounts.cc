#include "tunnel/mounts.h"

#include "common/log.h"
#include "common/text.h"
#include "tunnel/limits.h"

namespace tarn::tunnel {

Result<LocalAddress> Mounts::Open(const v1::OpenMountRequest& request) {
  TRY(std::shared_ptr<const Settings> settings, CheckSettings(request));
  std::lock_guard lock(mutex_);
  auto found = mounts_.find(request.mount_id());
  if (found == mounts_.end()) return OpenNew(request, settings);
  Mount& mount = *found->second;
  LocalAddress at{mount.address(), mount.port()};
  if (mount.settings()->digest == settings->digest) return at;
  TRY(state_.Put(request, at));
  mount.Change(std::move(settings));
  carrier_.MoveMount(mount);
  spdlog::info("mount {}: new servers or certificate", mount.id());
  return at;
}

Result<LocalAddress> Mounts::OpenNew(const v1::OpenMountRequest& request,
                                     const std::shared_ptr<const Settings>& settings) {
  if (mounts_.size() >= kMountsMax) {
    return Error(Code::kLimitExceeded, "more than " + std::to_string(kMountsMax) + " mounts");
  }
  TRY(Addresses::Taken taken, addresses_.TakeAny());
  const LocalAddress at = taken.at;
  auto mount = std::make_shared<Mount>(request.mount_id(), at.address, at.port, settings);
  Result<void> done = state_.Put(request, at);
  if (done.ok()) done = carrier_.AddMount(mount, std::move(taken.listener));
  if (!done.ok()) {
    (void)state_.Remove(request.mount_id());
    addresses_.GiveBack(at);
    return done.error();
  }
  mounts_[request.mount_id()] = mount;
  spdlog::info("mount {} is open at {}", mount->id(), JoinHostPort(at.address, at.port));
  return at;
}

Result<void> Mounts::Close(const std::string& mount_id) {
  std::lock_guard lock(mutex_);
  auto found = mounts_.find(mount_id);
  if (found == mounts_.end()) return Ok();
  TRY(state_.Remove(mount_id));
  std::shared_ptr<Mount> mount = found->second;
  carrier_.RemoveMount(*mount);
  std::erase(deaf_, mount);
  addresses_.GiveBack({mount->address(), mount->port()});
  mounts_.erase(found);
  spdlog::info("mount {} is closed", mount_id);
  return Ok();
}

v1::ListMountsResponse Mounts::List() const {
  std::lock_guard lock(mutex_);
  v1::ListMountsResponse list;
  for (const auto& [id, mount] : mounts_) {
    auto settings = mount->settings();
    v1::Mount& one = *list.add_mounts();
    one.set_mount_id(id);
    one.set_address(mount->address());
    one.set_port(mount->port());
    for (const ServerAddress& server : settings->servers) one.add_servers(server.text);
    one.set_server_name(settings->server_name);
    one.set_connections(mount->connections);
    one.set_certificate_not_after(settings->certificate_not_after);
    one.set_last_error(mount->last_error());
    one.set_bytes_sent(mount->bytes_sent);
    one.set_bytes_received(mount->bytes_received);
  }
  return list;
}

std::shared_ptr<Mount> Mounts::Find(const std::string& mount_id) const {
  std::lock_guard lock(mutex_);
  auto found = mounts_.find(mount_id);
  return found == mounts_.end() ? nullptr : found->second;
}

Result<void> Mounts::Restore(std::map<std::string, Fd> listeners) {
  TRY(std::vector<MountRecord> records, state_.Load());
  std::lock_guard lock(mutex_);
  for (const MountRecord& record : records) {
    auto listener = listeners.find(record.request.mount_id());
    RestoreOne(record, listener == listeners.end() ? Fd() : std::move(listener->second));
  }
  if (!records.empty()) {
    spdlog::info("{} of {} mounts are open again", mounts_.size(), records.size());
  }
  return Ok();
}

void Mounts::RestoreOne(const MountRecord& record, Fd listener) {
  const std::string& id = record.request.mount_id();
  // Also of one that is refused: its pod may talk to this address still.
  addresses_.Reserve(record.at);
  auto settings = CheckSettings(record.request);
  if (!settings.ok()) {
    spdlog::error("mount {}: {}; it is not open", id, settings.error().message());
    return;
  }
  auto mount = std::make_shared<Mount>(id, record.at.address, record.at.port, *settings);
  mounts_[id] = mount;
  if (!listener.open()) {
    deaf_.push_back(mount);
    return ListenAgain(mount);
  }
  if (auto added = carrier_.AddMount(mount, std::move(listener)); !added.ok()) {
    spdlog::error("mount {}: {}", id, added.error().message());
  }
}

void Mounts::ListenAgain(const std::shared_ptr<Mount>& mount) {
  auto listener = addresses_.Take({mount->address(), mount->port()});
  Result<void> listens = Ok();
  if (listener.ok()) {
    listens = carrier_.AddMount(mount, std::move(listener).value());
  } else {
    listens = listener.error();
  }
  if (listens.ok()) {
    mount->NoteError("");
    std::erase(deaf_, mount);
  } else if (mount->NoteError(listens.error().message())) {
    spdlog::error("mount {}: {}; tried again each second", mount->id(), listens.error().message());
  }
}

void Mounts::Tick() {
  std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<Mount>> deaf = deaf_;
  for (const auto& mount : deaf) ListenAgain(mount);
}

}  // namespace tarn::tunnel
