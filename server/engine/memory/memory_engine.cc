#include "server/engine/memory/memory_engine.h"

#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "common/crypto/secret_bytes.h"
#include "server/engine/memory/memory_file_system.h"
#include "server/vfs/gated_file_system.h"

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

  Result<uint32_t> CreateFileSystem(const SecretBytes* key) override {
    SecretBytes key_check;
    if (key != nullptr) {
      if (key->size() != vfs::kKeyBytes) return WrongKey("has not 32 bytes");
      TRY(key_check, CheckOf(*key));
    }
    std::lock_guard lock(mutex_);
    uint32_t number = next_number_++;
    Held& held = file_systems_[number];
    held.files = std::make_unique<MemoryFileSystem>(clock_);
    if (key != nullptr) {
      held.key_check = std::move(key_check);
      held.gate = std::make_unique<Gate>(Gate::LockedError(kNotThere), true);
      held.gate->Open(*held.files, false);
    }
    return number;
  }

  Result<void> DeleteFileSystem(uint32_t number) override {
    std::lock_guard lock(mutex_);
    TRY(Held * found, Find(number));
    found->files->Drop();
    if (found->gate) found->gate->Close(Error(Code::kStale));
    dropped_.push_back(std::move(*found));
    file_systems_.erase(number);
    return Ok();
  }

  Result<vfs::FileSystem*> GetFileSystem(uint32_t number) override {
    std::lock_guard lock(mutex_);
    TRY(Held * found, Find(number));
    if (found->gate) return static_cast<vfs::FileSystem*>(found->gate.get());
    return static_cast<vfs::FileSystem*>(found->files.get());
  }

  Result<void> Unlock(uint32_t number, const SecretBytes& key) override {
    std::lock_guard lock(mutex_);
    TRY(Held * found, FindEncrypted(number));
    if (key.size() != vfs::kKeyBytes) return WrongKey("has not 32 bytes");
    TRY(SecretBytes check, CheckOf(key));
    if (!check.Equals(found->key_check.view())) return WrongKey("is not this file system's");
    if (!found->gate->open()) found->gate->Open(*found->files, false);
    return Ok();
  }

  Result<void> Lock(uint32_t number, vfs::LockReason reason) override {
    std::lock_guard lock(mutex_);
    TRY(Held * found, FindEncrypted(number));
    found->gate->Close(Gate::LockedError(reason));
    return Ok();
  }

  bool encrypted(uint32_t number) override {
    std::lock_guard lock(mutex_);
    return FindEncrypted(number).ok();
  }

  bool locked(uint32_t number) override {
    std::lock_guard lock(mutex_);
    auto found = FindEncrypted(number);
    return found.ok() && !(*found)->gate->open();
  }

  void SimulateRestart() {
    std::lock_guard lock(mutex_);
    for (auto& [number, held] : file_systems_) {
      if (held.gate) {
        held.gate->Close(Gate::LockedError(kNotThere));
        held.gate->ForgetPins();
      }
      held.files->SimulateRestart();
    }
  }

 private:
  using Gate = vfs::GatedFileSystem;
  static constexpr auto kNotThere = vfs::LockReason::kKeyNotThere;
  // Nothing is encrypted here: a key opens the gate, that is all.
  struct Held {
    std::unique_ptr<MemoryFileSystem> files;
    std::unique_ptr<Gate> gate;  // of an encrypted one
    SecretBytes key_check;
  };

  static Error WrongKey(const char* why) {
    return Error(Code::kInvalid, std::string("the key ") + why);
  }
  static Result<SecretBytes> CheckOf(const SecretBytes& key) {
    return DeriveKey(key, "", "tarn memory engine key check", 16);
  }
  Result<Held*> Find(uint32_t number) {
    auto found = file_systems_.find(number);
    if (found == file_systems_.end()) return NotFound(number);
    return &found->second;
  }
  Result<Held*> FindEncrypted(uint32_t number) {
    TRY(Held * found, Find(number));
    if (found->gate) return found;
    return Error(Code::kInvalid, "file system " + std::to_string(number) + " is not encrypted");
  }

  static Error NotFound(uint32_t number) {
    return Error(Code::kNotFound, "no file system " + std::to_string(number) + " in this store");
  }

  const Clock& clock_;
  MemoryRecords records_;
  std::mutex mutex_;
  uint32_t next_number_ = 1;
  std::map<uint32_t, Held> file_systems_;
  std::vector<Held> dropped_;  // empty shells, for who holds them
};

}  // namespace

std::unique_ptr<vfs::Engine> NewMemoryEngine(const Clock& clock) {
  return std::make_unique<MemoryEngine>(clock);
}

void SimulateRestart(vfs::Engine& engine) {
  static_cast<MemoryEngine&>(engine).SimulateRestart();
}

}  // namespace tarn::engine
