#include "server/engine/local/file_system_keys.h"

#include <cstring>
#include <mutex>

#include "server/vfs/file_system.h"

namespace tarn::local {
namespace {

Result<SecretBytes> Derive(const SecretBytes& key, const FileSystemRecord& record,
                           std::string_view purpose, size_t bytes) {
  if (key.size() != vfs::kKeyBytes) {
    return Error(Code::kInvalid, "the key has " + std::to_string(key.size()) +
                                     " bytes: give one of " + std::to_string(vfs::kKeyBytes));
  }
  return DeriveKey(key, record.salt, "tarn file system 1: " + std::string(purpose), bytes);
}

Result<SecretBytes> CheckOf(const SecretBytes& key, const FileSystemRecord& record) {
  return Derive(key, record, "check", kKeyCheckBytes);
}

}  // namespace

Result<void> MakeKeyCheck(const SecretBytes& key, FileSystemRecord& record) {
  record.encrypted = true;
  record.salt.resize(kSaltBytes);
  TRY(FillRandom(std::as_writable_bytes(std::span(record.salt))));
  TRY(SecretBytes check, CheckOf(key, record));
  record.key_check = check.view();
  return Ok();
}

Result<KeysPtr> DeriveKeys(const SecretBytes& key, const FileSystemRecord& record) {
  TRY(SecretBytes check, CheckOf(key, record));
  if (!check.Equals(record.key_check)) {
    return Error(Code::kInvalid, "the key is not the one that the file system was made with");
  }
  auto keys = std::make_shared<FileSystemKeys>();
  TRY(SecretBytes rows, Derive(key, record, "rows", Sealer::kKeyBytes));
  TRY(keys->rows, Sealer::Create(rows));
  TRY(SecretBytes blocks, Derive(key, record, "blocks", BlockCipher::kKeyBytes));
  TRY(keys->blocks, BlockCipher::Create(blocks));
  TRY(SecretBytes names, Derive(key, record, "names", sizeof(keys->names)));
  std::memcpy(keys->names.data(), names.view().data(), sizeof(keys->names));
  return KeysPtr(std::move(keys));
}

void KeyRing::Set(uint32_t fs, KeysPtr keys) {
  std::unique_lock lock(mutex_);
  keys_[fs] = std::move(keys);
  empty_.store(false, std::memory_order_release);
}

void KeyRing::Forget(uint32_t fs) {
  std::unique_lock lock(mutex_);
  keys_.erase(fs);
  empty_.store(keys_.empty(), std::memory_order_release);
}

Result<KeysPtr> KeyRing::Of(uint32_t fs) const {
  if (empty()) return KeysPtr();
  std::shared_lock lock(mutex_);
  auto found = keys_.find(fs);
  if (found == keys_.end()) return KeysPtr();
  if (found->second) return found->second;
  return Error(Code::kUnavailable, "file system " + std::to_string(fs) + " is locked");
}

}  // namespace tarn::local
