// Rename: POSIX.1-2017 rename(), within one realm.
#include "server/engine/memory/memory_file_system.h"
#include "server/vfs/names.h"
#include "server/vfs/permission.h"

namespace tarn::engine {

using namespace vfs;  // NOLINT(google-build-using-namespace)

bool MemoryFileSystem::LiesIn(const Inode& directory, const Inode& outer) const {
  for (const Inode* at = &directory;; at = &inodes_.at(at->parent)) {
    if (at == &outer) return true;
    if (at->parent == 0) return false;
  }
}

Result<void> MemoryFileSystem::CheckReplace(const Inode& file, const Inode& replaced) {
  bool directory = file.attributes.type == FileType::kDirectory;
  bool over_directory = replaced.attributes.type == FileType::kDirectory;
  if (directory && !over_directory) return Error(Code::kNotDirectory);
  if (!directory && over_directory) return Error(Code::kIsDirectory);
  if (!replaced.entries.empty()) return Error(Code::kNotEmpty);
  return Ok();
}

Result<MemoryFileSystem::Move> MemoryFileSystem::PlanMove(const Caller& caller,
                                                          FileId source_directory,
                                                          std::string_view source_name,
                                                          FileId target_directory,
                                                          std::string_view target_name) {
  Move move{};
  TRY(move.source_directory, FindDirectory(caller, source_directory));
  TRY(move.target_directory, FindDirectory(caller, target_directory));
  TRY(CheckName(source_name));
  TRY(CheckName(target_name));
  TRY(CheckAccess(caller, move.source_directory->attributes, kMayExecute));
  TRY(CheckAccess(caller, move.target_directory->attributes, kMayExecute));
  move.file = Child(*move.source_directory, source_name);
  if (move.file == nullptr) return Error(Code::kNoEntry);
  move.replaced = Child(*move.target_directory, target_name);
  return move;
}

Result<void> MemoryFileSystem::CheckMove(const Caller& caller, const Move& move) const {
  const Attributes& source = move.source_directory->attributes;
  const Attributes& target = move.target_directory->attributes;
  const Attributes& file = move.file->attributes;
  TRY(CheckRemove(caller, source, file));
  if (move.replaced != nullptr) {
    TRY(CheckRemove(caller, target, move.replaced->attributes));
  } else {
    TRY(CheckAccess(caller, target, kMayWrite));
  }
  bool busy = IsRealmRoot(*move.file) || (move.replaced != nullptr && IsRealmRoot(*move.replaced));
  if (busy) return Error(Code::kInUse);
  if (source.realm != target.realm) return Error(Code::kCrossDevice);
  if (target.links == 0) return Error(Code::kNoEntry);
  if (file.type == FileType::kDirectory) {
    if (LiesIn(*move.target_directory, *move.file)) return Error(Code::kInvalid);
    if (move.source_directory != move.target_directory) {
      TRY(CheckAccess(caller, file, kMayWrite));
      TRY(CheckDepth(*move.target_directory));
    }
  }
  if (move.replaced != nullptr) TRY(CheckReplace(*move.file, *move.replaced));
  return Ok();
}

Result<FileSystem::Renamed> MemoryFileSystem::Rename(const Caller& caller, FileId source_directory,
                                                     std::string_view source_name,
                                                     FileId target_directory,
                                                     std::string_view target_name) {
  std::lock_guard lock(mutex_);
  if (const Replay* done = Replayed(caller)) return Renamed{done->source, done->target};
  TRY(Move move, PlanMove(caller, source_directory, source_name, target_directory, target_name));
  uint64_t source_before = move.source_directory->attributes.change;
  uint64_t target_before = move.target_directory->attributes.change;
  if (move.file == move.replaced) {
    return Renamed{{source_before, source_before}, {target_before, target_before}};
  }
  TRY(CheckMove(caller, move));
  if (move.replaced != nullptr) DropEntry(*move.target_directory, target_name);
  DropEntry(*move.source_directory, source_name);
  AddEntry(*move.target_directory, target_name, *move.file);
  Changed(*move.file);
  DataChanged(*move.source_directory);
  if (move.source_directory != move.target_directory) DataChanged(*move.target_directory);
  if (move.replaced != nullptr) DropLink(*move.replaced);
  Renamed renamed{{source_before, move.source_directory->attributes.change},
                  {target_before, move.target_directory->attributes.change}};
  Keep(caller, {.made = {}, .source = renamed.source, .target = renamed.target});
  return renamed;
}

}  // namespace tarn::engine
