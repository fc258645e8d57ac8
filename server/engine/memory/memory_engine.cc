#include "server/engine/memory/memory_engine.h"

#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "server/engine/memory/memory_file_system.h"

namespace tarn::engine {
namespace {

class MemoryRecords : public vfs::RecordStore {
 public:
  Result<std::optional<std::string>> Get(std::string_view key) override {
    std::lock_guard lock(mutex_);
    auto found = records_.find(key);
    if (found == records_.end()) return std::optional<std::string>();
    return std::optional<std::string>(found->second);
  }

  Result<void> Put(std::string_view key, std::string_view value) override {
    std::lock_guard lock(mutex_);
    records_.insert_or_assign(std::string(key), std::string(value));
    return Ok();
  }

  Result<void> Delete(std::string_view key) override {
    std::lock_guard lock(mutex_);
    auto found = records_.find(key);
    if (found != records_.end()) records_.erase(found);
    return Ok();
  }

  // Over a copy, so that `visit` may call back.
  Result<void> Scan(
      std::string_view prefix,
      const std::function<bool(std::string_view key, std::string_view value)>& visit) override {
    std::vector<std::pair<std::string, std::string>> matches;
    {
      std::lock_guard lock(mutex_);
      for (auto at = records_.lower_bound(prefix); at != records_.end(); ++at) {
        if (!at->first.starts_with(prefix)) break;
        matches.emplace_back(*at);
      }
    }
    for (const auto& [key, value] : matches) {
      if (!visit(key, value)) break;
    }
    return Ok();
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::string, std::less<>> records_;
};

class MemoryEngine : public vfs::Engine {
 public:
  explicit MemoryEngine(const Clock& clock) : clock_(clock) {}

  vfs::RecordStore& records() override { return records_; }

  Result<uint32_t> CreateFileSystem() override {
    std::lock_guard lock(mutex_);
    uint32_t number = next_number_++;
    file_systems_.emplace(number, std::make_unique<MemoryFileSystem>(clock_));
    return number;
  }

  Result<void> DeleteFileSystem(uint32_t number) override {
    std::lock_guard lock(mutex_);
    auto found = file_systems_.find(number);
    if (found == file_systems_.end()) return NotFound(number);
    found->second->Drop();
    dropped_.push_back(std::move(found->second));
    file_systems_.erase(found);
    return Ok();
  }

  Result<vfs::FileSystem*> GetFileSystem(uint32_t number) override {
    std::lock_guard lock(mutex_);
    auto found = file_systems_.find(number);
    if (found == file_systems_.end()) return NotFound(number);
    return static_cast<vfs::FileSystem*>(found->second.get());
  }

  void SimulateRestart() {
    std::lock_guard lock(mutex_);
    for (auto& [number, file_system] : file_systems_) file_system->SimulateRestart();
  }

 private:
  static Error NotFound(uint32_t number) {
    return Error(Code::kNotFound, "no file system " + std::to_string(number) + " in this store");
  }

  const Clock& clock_;
  MemoryRecords records_;
  std::mutex mutex_;
  uint32_t next_number_ = 1;
  std::map<uint32_t, std::unique_ptr<MemoryFileSystem>> file_systems_;
  std::vector<std::unique_ptr<MemoryFileSystem>> dropped_;  // empty shells, for who holds them
};

}  // namespace

std::unique_ptr<vfs::Engine> NewMemoryEngine(const Clock& clock) {
  return std::make_unique<MemoryEngine>(clock);
}

void SimulateRestart(vfs::Engine& engine) {
  static_cast<MemoryEngine&>(engine).SimulateRestart();
}

}  // namespace tarn::engine
