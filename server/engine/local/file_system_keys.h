// The keys of an encrypted file system, and which of them are there.
//
// Everything derives from one key of 32 bytes that the engine is given and never stores, by HKDF
// with a random salt of the file system's: so two file systems that are given the same key have
// nothing in common. Its row has the salt, and a value that tells a wrong key.
#pragma once

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <shared_mutex>
#include <string>

#include "common/crypto/block_cipher.h"
#include "common/crypto/sealer.h"
#include "server/engine/local/format.h"

namespace tarn::local {

// Threads: any. Wiped when the last who uses them is done.
struct FileSystemKeys {
  std::unique_ptr<Sealer> rows;
  std::unique_ptr<BlockCipher> blocks;
  std::array<uint64_t, 2> names{};  // of the names' hash

  FileSystemKeys() = default;
  FileSystemKeys(const FileSystemKeys&) = delete;
  FileSystemKeys& operator=(const FileSystemKeys&) = delete;
  ~FileSystemKeys() { WipeBytes(names.data(), sizeof(names)); }
};
using KeysPtr = std::shared_ptr<const FileSystemKeys>;

// For a new file system: its salt and check value. kInvalid: the key has not vfs::kKeyBytes.
Result<void> MakeKeyCheck(const SecretBytes& key, FileSystemRecord& record);
// kInvalid: it is not the key that the record was made with.
Result<KeysPtr> DeriveKeys(const SecretBytes& key, const FileSystemRecord& record);

// Which file systems are encrypted, and the keys of those that are unlocked. Threads: any.
class KeyRing {
 public:
  // nullptr: it is encrypted, and locked.
  void Set(uint32_t fs, KeysPtr keys);
  void Forget(uint32_t fs);
  // No file system is encrypted; costs nothing to ask.
  bool empty() const { return empty_.load(std::memory_order_acquire); }
  // nullptr: it is not encrypted. kUnavailable: it is locked.
  Result<KeysPtr> Of(uint32_t fs) const;

 private:
  std::atomic<bool> empty_{true};
  mutable std::shared_mutex mutex_;
  std::map<uint32_t, KeysPtr> keys_;  // guarded by mutex_
};

}  // namespace tarn::local
