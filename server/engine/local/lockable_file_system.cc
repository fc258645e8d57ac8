#include "server/engine/local/lockable_file_system.h"

#include "common/log.h"

namespace tarn::local {

using vfs::GatedFileSystem;
using vfs::LockReason;

LockableFileSystem::LockableFileSystem(Context context, uint32_t number,
                                       const FileSystemRecord& record, Origin origin)
    : context_(std::move(context)),
      number_(number),
      record_(record),
      gate_(GatedFileSystem::LockedError(LockReason::kKeyNotThere), origin == Origin::kNew),
      strays_(origin == Origin::kAfterCrash) {
  context_.store.keys().Set(number_, nullptr);
}

Result<void> LockableFileSystem::Unlock(const SecretBytes& key) {
  std::lock_guard lock(mutex_);
  if (deleted_) return Error(Code::kNotFound);
  TRY(KeysPtr keys, DeriveKeys(key, record_));
  if (inner_) return Ok();
  // In this order: who wants it closed counts first, and asks for hurry then.
  hurry_ = false;
  if (closing_ > 0) hurry_ = true;
  auto loaded = Load(std::move(keys));
  if (!loaded) {
    Drop();
    return Error(loaded.code(),
                 "file system " + std::to_string(number_) + ": " + loaded.error().message());
  }
  unsettled_ = true;
  gate_.Open(*inner_, true);
  spdlog::info("file system {}: unlocked", number_);
  context_.wake();
  return Ok();
}

Result<void> LockableFileSystem::Load(KeysPtr keys) {
  // Change attributes that were seen and lost must not come again.
  if (lost_) TRY(context_.count_crash());
  lost_ = false;
  FileSystemRecord record = record_;
  record.hash_key[0] = keys->names[0];
  record.hash_key[1] = keys->names[1];
  context_.store.keys().Set(number_, std::move(keys));
  inner_ = context_.make(number_, record, hurry_);
  WipeBytes(record.hash_key, sizeof(record.hash_key));
  TRY(inner_->Load());
  // Until the gate says that their clients had their time.
  inner_->KeepOrphans();
  return Ok();
}

Result<void> LockableFileSystem::Lock(LockReason reason) {
  const Hurrying hurrying(*this);
  if (deleted_) return Error(Code::kNotFound);
  gate_.Close(GatedFileSystem::LockedError(reason));
  if (!inner_) return Ok();
  const std::atomic<bool> never{false};
  auto flushed = inner_->FlushAll();
  // What of these fails is done after the next unlock.
  if (flushed) (void)inner_->EndOverwrites();
  if (flushed) (void)inner_->ApplyJournal(never);
  if (!flushed) {
    lost_ = strays_ = true;
    context_.chunks.NoteLoss();
    spdlog::error("file system {}: locked, and unstable writes of it are lost: {}", number_,
                  flushed.error().ToString());
  } else {
    spdlog::info("file system {}: locked", number_);
  }
  Drop();
  return flushed;
}

// Everything that was decrypted.
void LockableFileSystem::Drop() {
  if (inner_) inner_->Abandon();
  inner_.reset();
  context_.sums.Forget(number_);
  context_.chunks.Close(number_);
  context_.store.keys().Set(number_, nullptr);
}

void LockableFileSystem::Delete() {
  const Hurrying hurrying(*this);
  deleted_ = true;
  if (inner_) inner_->MarkDeleted();
  gate_.Close(Error(Code::kStale));
  Drop();
  context_.store.keys().Forget(number_);
}

bool LockableFileSystem::Maintain() {
  GatedFileSystem::Pass pass(gate_);
  if (pass.get() == nullptr) return false;
  auto& inner = static_cast<LocalFileSystem&>(*pass.get());
  if (unsettled_.exchange(false)) inner.SettleOverwrites(hurry_);
  if (strays_) {
    auto removed = inner.RemoveStrayChunks(hurry_);
    if (!removed) spdlog::warn("stray chunk files: {}", removed.error().ToString());
    if (hurry_) return false;
    strays_ = false;
  }
  return inner.Maintain(hurry_) && !hurry_;
}

}  // namespace tarn::local
