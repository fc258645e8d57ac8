// Construction, numbers, finding and checking files, names on disk.
#include <algorithm>
#include <cstring>
#include <random>

#include "common/log.h"
#include "server/engine/local/local_file_system.h"
#include "server/vfs/permission.h"

namespace tarn::local {
namespace {

// Numbers are taken from the database so many at a time.
constexpr uint64_t kNumbersReserved = 65536;
// A chain of colliding names; it never gets near with an honest hash.
constexpr uint64_t kProbesMax = 1024;
// Above all that is counted up between two crashes.
constexpr int kChangeBits = 40;
// 0 is the start of a directory and NFS reserves 1 and 2.
constexpr uint64_t kFirstCookie = 3;

uint64_t RandomNumber() {
  std::random_device source;
  return static_cast<uint64_t>(source()) << 32 | source();
}

vfs::Time ToTime(Clock::Nanoseconds now) {
  auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now);
  return {seconds.count(), static_cast<uint32_t>((now - seconds).count())};
}

}  // namespace

LocalFileSystem::LocalFileSystem(const FileSystemContext& context, uint32_t number,
                                 const FileSystemRecord& record)
    : store_(context.store),
      chunks_(context.chunks),
      sums_(context.sums),
      journal_(context.journal),
      options_(context.options),
      clock_(context.clock),
      wake_(context.wake),
      hurry_(context.hurry),
      number_(number),
      record_(record),
      hash_mask_((uint64_t{1} << std::clamp(context.options.name_hash_bits, 1u, 62u)) - 1),
      change_base_(context.crashes << kChangeBits),
      verifier_(RandomNumber()),
      realms_(context.store, number),
      cache_(context.store, number, context.options.inodes_cached),
      marks_(context.store, number, context.clock) {}

LocalFileSystem::~LocalFileSystem() {
  WipeBytes(record_.hash_key, sizeof(record_.hash_key));
}

Result<void> LocalFileSystem::GoOn() const {
  if (!hurry_.load(std::memory_order_relaxed)) return Ok();
  return Error(Code::kUnavailable, "the file system is being locked, or the server ends");
}

void LocalFileSystem::Format(Batch& batch, uint32_t number, const FileSystemRecord& record,
                             const Clock& clock, uint64_t generation) {
  InodeRecord root;
  root.type = vfs::FileType::kDirectory;
  root.mode = 0755;
  root.links = 2;
  root.change = 1;
  root.generation = generation;
  root.access_time = root.modify_time = root.change_time = root.create_time = ToTime(clock.Now());
  RealmRecord realm;
  realm.root = kRootInode;
  realm.root_generation = generation;
  batch.Put(Table::kInodes, InodeKey(number, kRootInode), Encode(root));
  batch.Put(Table::kMeta, RealmKey(number, vfs::kRootRealm), Encode(realm));
  batch.AddUsage(UsageKey(number, vfs::kRootRealm), {0, 1});
  batch.Put(Table::kMeta, NextInodeKey(number), EncodeNumber(kRootInode + 1));
  batch.Put(Table::kMeta, FileSystemKey(number), Encode(record));
}

Result<void> LocalFileSystem::Load() {
  TRY(realms_.Load());
  TRY(LoadReplays());
  TRY(auto next, store_.Get(Table::kMeta, NextInodeKey(number_)));
  if (!next) return Error(Code::kCorrupt, "the counter of inodes is not there");
  TRY(next_number_, DecodeNumber(*next));
  numbers_stored_ = first_new_number_ = next_number_;
  TRY(marks_.Load());
  TRY(RenewMarked());
  TRY(LoadJournal());
  applied_at_ = clock_.Monotonic();
  return FinishMoves();
}

vfs::Time LocalFileSystem::Now() const {
  return ToTime(clock_.Now());
}

// Never gives a number twice: those of a run that crashed are lost.
Result<uint64_t> LocalFileSystem::NewNumber() {
  std::lock_guard lock(number_mutex_);
  if (next_number_ == numbers_stored_) {
    Batch batch(store_);
    uint64_t reserved = next_number_ + kNumbersReserved;
    batch.Put(Table::kMeta, NextInodeKey(number_), EncodeNumber(reserved));
    TRY(store_.WriteAndSync(batch));
    numbers_stored_ = reserved;
  }
  return next_number_++;
}

Result<InodePtr> LocalFileSystem::Find(vfs::FileId file) {
  if (deleted_ || file.inode == 0) return Error(Code::kStale);
  return cache_.Find(file.inode);
}

// While the directory is locked a name and its file go together.
Result<InodePtr> LocalFileSystem::Named(const NameRecord& name) {
  auto inode = cache_.Find(name.inode);
  if (inode.code() != Code::kStale) return inode;
  return Error(Code::kCorrupt, "a name leads to inode " + std::to_string(name.inode) +
                                   ", which is not there; run fsck");
}

Result<void> LocalFileSystem::Usable(const vfs::Caller& caller, const Inode& inode,
                                     vfs::FileId id) const {
  if (inode.gone) return *inode.gone;
  if (inode.record.generation != id.generation) return Error(Code::kStale);
  if (!realms_.Reaches(caller.realm, inode.record.realm)) return Error(Code::kStale);
  return Ok();
}

Result<void> LocalFileSystem::UsableDirectory(const vfs::Caller& caller, const Inode& inode,
                                              vfs::FileId id) const {
  TRY(Usable(caller, inode, id));
  if (!inode.IsDirectory()) return Error(Code::kNotDirectory);
  return Ok();
}

// In an encrypted file system no two directories have a hash in common, so keys do not tell that a
// name is in both.
uint64_t LocalFileSystem::NameHash(uint64_t directory, std::string_view name) const {
  if (!record_.encrypted) return HashName(record_.hash_key, name);
  char text[9] = {};
  std::memcpy(text, &directory, 8);
  std::string_view input(text, sizeof(text));
  uint64_t key[2];
  key[0] = HashName(record_.hash_key, input);
  text[8] = 1;
  key[1] = HashName(record_.hash_key, input);
  return HashName(key, name);
}

Result<LocalFileSystem::Slot> LocalFileSystem::FindName(uint64_t directory, std::string_view name) {
  uint64_t home = (NameHash(directory, name) & hash_mask_) + kFirstCookie;
  std::optional<uint64_t> free;
  for (uint64_t probe = 0; probe < kProbesMax; ++probe) {
    TRY(auto stored, store_.Get(Table::kNames, NameKey(number_, directory, home + probe)));
    if (!stored) return Slot{free.value_or(home + probe), {}};
    auto entry = DecodeName(*stored);
    if (!entry) {
      spdlog::error("file system {}: an entry of directory {} is corrupt", number_, directory);
      return entry.error();
    }
    if (entry->inode == 0) {
      if (!free) free = home + probe;
    } else if (entry->name == name) {
      return Slot{home + probe, std::move(*entry)};
    }
  }
  return Error(Code::kNoSpace, "too many names of this directory collide");
}

void LocalFileSystem::PutName(Batch& batch, uint64_t directory, const Slot& slot,
                              std::string_view name, const Inode& inode) const {
  NameRecord entry{inode.number, inode.record.generation, inode.record.type, std::string(name)};
  batch.Put(Table::kNames, NameKey(number_, directory, slot.hash), Encode(entry));
}

Result<void> LocalFileSystem::DeleteName(Batch& batch, uint64_t directory, uint64_t hash,
                                         std::optional<uint64_t> filling) {
  TRY(auto next, store_.Get(Table::kNames, NameKey(number_, directory, hash + 1)));
  std::string key = NameKey(number_, directory, hash);
  if (next || filling == hash + 1) {
    batch.Put(Table::kNames, key, Encode(NameRecord()));
  } else {
    batch.Delete(Table::kNames, key);
  }
  return Ok();
}

void LocalFileSystem::PutInode(Batch& batch, const Inode& inode, InodeRecord form) const {
  batch.Put(Table::kInodes, InodeKey(number_, inode.number), Encode(form));
}

Result<Store::Ticket> LocalFileSystem::Apply(Change& change) {
  TRY(Ticket ticket, store_.Write(change.batch));
  for (auto& apply : change.apply) apply();
  for (auto& inode : change.freed) {
    inode->gone = Error(Code::kStale);
    Undirty(*inode);
    cache_.Drop(inode->number);
  }
  return ticket;
}

Result<void> LocalFileSystem::RefuseIfFull(uint64_t growth) const {
  if (store_.DiskIsFull(growth)) {
    return Error(Code::kNoSpace, "the disk of the data directory is nearly full");
  }
  return Ok();
}

InodeRecord LocalFileSystem::Touched(const Inode& directory, int entries,
                                     int subdirectories) const {
  InodeRecord next = directory.record;
  next.entries += static_cast<uint64_t>(static_cast<int64_t>(entries));
  next.links += static_cast<uint32_t>(subdirectories);
  next.change_time = next.modify_time = Now();
  next.change = NextChange(next.change);
  return next;
}

Result<uint32_t> LocalFileSystem::DepthOf(uint64_t directory) {
  uint32_t depth = 0;
  while (directory != kRootInode && directory != 0 && depth <= vfs::kDirectoryDepthMax) {
    TRY(InodePtr inode, cache_.Find(directory));
    directory = inode->parent.load();
    ++depth;
  }
  return depth;
}

}  // namespace tarn::local
