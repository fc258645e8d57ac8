// What tests of the control API stand on: a manager over the memory engine whose records can be
// made to fail, restarts, and a listener table in place of the RPC server.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "server/control/manager.h"
#include "server/engine/memory/memory_engine.h"

namespace tarn::control {

// Fails each write once `writes_left` is used up, as a crash at that point would.
class FaultyEngine : public vfs::Engine, private vfs::RecordStore {
 public:
  explicit FaultyEngine(const Clock& clock) : engine_(engine::NewMemoryEngine(clock)) {}
  int64_t writes_left = INT64_MAX;
  std::string damage;  // what a scrub of the tables finds
  vfs::Engine& real() { return *engine_; }

  vfs::RecordStore& records() override { return *this; }
  Result<uint32_t> CreateFileSystem(const SecretBytes* key) override {
    TRY(Spend());
    return engine_->CreateFileSystem(key);
  }
  Result<void> Unlock(uint32_t number, const SecretBytes& key) override {
    return engine_->Unlock(number, key);
  }
  Result<void> Lock(uint32_t number, vfs::LockReason reason) override {
    return engine_->Lock(number, reason);
  }
  bool encrypted(uint32_t number) override { return engine_->encrypted(number); }
  bool locked(uint32_t number) override { return engine_->locked(number); }
  Result<void> DeleteFileSystem(uint32_t number) override {
    return engine_->DeleteFileSystem(number);
  }
  Result<vfs::FileSystem*> GetFileSystem(uint32_t number) override {
    return engine_->GetFileSystem(number);
  }
  Result<vfs::ScrubCounts> ScrubTables(
      const vfs::ScrubPace& pace, const std::function<void(std::string_view)>& report) override {
    if (!pace(100)) return Error(Code::kAborted, "stopped");
    if (!damage.empty()) report(damage);
    return vfs::ScrubCounts{.files = 0, .bytes = 100, .problems = damage.empty() ? 0u : 1u};
  }

 private:
  Result<void> Spend() {
    if (writes_left <= 0) return Error(Code::kIo, "no write is left");
    --writes_left;
    return Ok();
  }
  Result<std::optional<std::string>> Get(std::string_view key) override {
    return engine_->records().Get(key);
  }
  Result<void> Put(std::string_view key, std::string_view value) override {
    TRY(Spend());
    return engine_->records().Put(key, value);
  }
  Result<void> Delete(std::string_view key) override {
    TRY(Spend());
    return engine_->records().Delete(key);
  }
  Result<void> Scan(
      std::string_view prefix,
      const std::function<bool(std::string_view key, std::string_view value)>& visit) override {
    return engine_->records().Scan(prefix, visit);
  }
  std::unique_ptr<vfs::Engine> engine_;
};

// Knows which addresses are listened on; "9.9.9.9" is not of this machine.
class FakeListeners : public rpc::Server {
 public:
  Result<Listener> Listen(const std::string& address, uint16_t port, uint64_t tag) override {
    std::lock_guard lock(mutex_);
    if (address.find_first_not_of("0123456789.:abcdef") != std::string::npos) {
      return Error(Code::kInvalid, "not an address");
    }
    if (address == unreachable_) return Error(Code::kUnavailable, "not of this machine");
    tags[++last_] = tag;
    return Listener{last_, port};
  }
  void StopListening(uint64_t id) override {
    std::lock_guard lock(mutex_);
    tags.erase(id);
  }
  size_t Recheck(const Keep& /*keep*/) override { return 0; }
  rpc::ServerCounters counters() const override { return {}; }

  void SetUnreachable(const std::string& address) {
    std::lock_guard lock(mutex_);
    unreachable_ = address;
  }
  std::map<uint64_t, uint64_t> tags;  // by listener

 private:
  std::mutex mutex_;
  std::string unreachable_ = "9.9.9.9";
  uint64_t last_ = 0;
};

class World : public testing::Test {
 protected:
  World() { Restart(); }

  // A crash and a new start over the same store.
  void Restart() {
    manager_ = nullptr;
    engine_.writes_left = INT64_MAX;
    auto opened = Manager::Open(engine_, clock_, options_);
    ASSERT_TRUE(opened.ok()) << opened.error().ToString();
    manager_ = std::move(opened).value();
    manager_->Serve(listeners_);
  }

  v1::FileSystemDescription MakeFileSystem(const std::string& token) {
    v1::CreateFileSystemRequest request;
    request.set_creation_token(token);
    auto made = manager_->CreateFileSystem(request);
    EXPECT_TRUE(made.ok()) << made.error().ToString();
    return made.value();
  }

  static v1::CreateAccessPointRequest AccessPointRequest(const std::string& fs,
                                                         const std::string& token,
                                                         const std::string& path) {
    v1::CreateAccessPointRequest request;
    request.set_file_system_id(fs);
    request.set_client_token(token);
    request.mutable_root_directory()->set_path(path);
    auto& creation = *request.mutable_root_directory()->mutable_creation_info();
    creation.set_owner_uid(1000);
    creation.set_owner_gid(1000);
    creation.set_permissions("0750");
    return request;
  }

  v1::AccessPointDescription MakeAccessPoint(const std::string& fs, const std::string& token,
                                             const std::string& path) {
    auto made = manager_->CreateAccessPoint(AccessPointRequest(fs, token, path));
    EXPECT_TRUE(made.ok()) << made.error().ToString();
    return made.value();
  }

  Result<v1::AccessPointDescription> DescribeOne(const std::string& id) {
    v1::DescribeAccessPointsRequest request;
    request.set_access_point_id(id);
    TRY(auto response, manager_->DescribeAccessPoints(request));
    return response.access_points(0);
  }

  Result<v1::FileSystemDescription> DescribeFileSystem(const std::string& id) {
    v1::DescribeFileSystemsRequest request;
    request.set_file_system_id(id);
    TRY(auto response, manager_->DescribeFileSystems(request));
    return response.file_systems(0);
  }

  Result<void> DeleteAccessPoint(const std::string& id, bool with_root) {
    v1::DeleteAccessPointRequest request;
    request.set_access_point_id(id);
    request.set_delete_root_directory(with_root);
    TRY(manager_->DeleteAccessPoint(request));
    return Ok();
  }

  Result<void> DeleteFileSystem(const std::string& id) {
    v1::DeleteFileSystemRequest request;
    request.set_file_system_id(id);
    TRY(manager_->DeleteFileSystem(request));
    return Ok();
  }

  Result<v1::MountTargetDescription> MakeMountTarget(const std::string& fs, const std::string& zone,
                                                     const std::string& address = "") {
    v1::CreateMountTargetRequest request;
    request.set_file_system_id(fs);
    request.set_availability_zone_name(zone);
    request.set_ip_address(address);
    return manager_->CreateMountTarget(request);
  }

  // The engine's number of a file system, by way of a mount target on a listener of its own.
  uint32_t NumberOf(const std::string& fs) {
    auto target = MakeMountTarget(fs, "probe", "127.0.0.200");
    EXPECT_TRUE(target.ok());
    uint32_t number = 0;
    for (auto [listener, tag] : listeners_.tags) {
      auto root = manager_->exports().Root(tag);
      if (root.ok()) number = (*root)->file_system;
    }
    v1::DeleteMountTargetRequest request;
    request.set_mount_target_id(target->mount_target_id());
    EXPECT_TRUE(manager_->DeleteMountTarget(request).ok());
    return number;
  }

  ManualClock clock_;
  Options options_;
  FaultyEngine engine_{clock_};
  FakeListeners listeners_;
  std::unique_ptr<Manager> manager_;
};

// Of a scrub, for ten seconds at most.
inline v1::ScrubReport WaitForEnd(const std::function<v1::ScrubReport()>& look) {
  for (int i = 0; i < 2000 && look().state() == "running"; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return look();
}

// The EFS name of a failed result, or "ok".
template <typename T>
std::string EfsName(const Result<T>& result) {
  return result.ok() ? "ok" : std::string(result.error().api_name());
}

}  // namespace tarn::control
