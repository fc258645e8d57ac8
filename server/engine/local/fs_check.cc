// The online check. Names, inodes, block maps and usage are compared within one snapshot of the
// database, which is consistent since every change is one batch. Chunk files are outside of it, so
// what looks wrong there is looked at again under the file's lock. Needs about 150 bytes of memory
// for each file.
#include <unordered_map>
#include <unordered_set>

#include "server/engine/local/local_file_system.h"

namespace tarn::local {

using vfs::FileType;

class LocalFileSystem::Checker {
 public:
  Checker(LocalFileSystem& fs, const std::function<void(std::string_view)>& report)
      : fs_(fs), report_(report), snapshot_(Snapshot(fs)) {}

  Result<uint64_t> Run() {
    TRY(ReadInodes());
    TRY(ReadNames());
    TRY(ReadMarks());
    TRY(ReadInline());
    TRY(ReadChunks());
    TRY(ReadShares());
    TRY(ReadSums());
    TRY(ReadJournal());
    TRY(ReadXattrs());
    TRY(ReadRealms());
    for (auto& [number, inode] : inodes_) {
      CheckLinks(number, inode);
      CheckSpace(number, inode);
      CountUsage(number, inode);
    }
    TRY(CheckUsage());
    return problems_;
  }

 private:
  struct Info {
    InodeRecord record;
    uint64_t names = 0;
    uint64_t entries = 0;
    uint64_t subdirectories = 0;
    uint64_t named_in = 0;  // the directory of its last name seen
    uint64_t blocks = 0;    // bytes that block maps or the inline table say
    uint32_t xattrs = 0;
    uint64_t xattr_bytes = 0;
  };

  // Not while a file's mark is gone and its sums are not yet.
  static std::shared_ptr<const rocksdb::Snapshot> Snapshot(LocalFileSystem& fs) {
    std::lock_guard lock(fs.unshared_mutex_);
    return fs.store_.TakeSnapshot();
  }
  void Problem(uint64_t inode, const std::string& what) {
    ++problems_;
    report_("inode " + std::to_string(inode) + ": " + what);
  }

  Result<void> Scan(Table table, const std::string& prefix, const Store::Visitor& visit) {
    Result<void> going;
    auto visit_while = [&](std::string_view key, std::string_view value) {
      return (going = fs_.GoOn()).ok() && visit(key, value);
    };
    TRY(fs_.store_.Scan(table, prefix, After(prefix), visit_while, snapshot_.get()));
    return going;
  }

  Result<void> ReadInodes();
  Result<void> ReadNames();
  Result<void> ReadMarks();
  Result<void> ReadInline();
  Result<void> ReadChunks();
  Result<void> ReadXattrs();
  Result<void> ReadRealms();
  void CheckName(uint64_t directory, uint64_t hash, const NameRecord& name);
  void CheckDirectory(uint64_t number, const Info& inode);
  void CheckLinks(uint64_t number, const Info& inode);
  void CheckSpace(uint64_t number, const Info& inode);
  void CountUsage(uint64_t number, const Info& inode);
  Result<void> CheckUsage();
  // Of the chunk: its own file and those that it shares are there, and long enough.
  Result<void> CheckChunkFile(const ChunkId& id, const ChunkRow& row);
  std::optional<std::string> WrongFile(const ChunkId& id, const ChunkRow& row) const;
  void NoteShares(const ChunkId& id, const ChunkRow& row);
  Result<void> ReadShares();
  Result<bool> IsFileUsed(const FileRef& file);
  Result<void> ReadSums();
  Result<std::optional<std::string>> WrongImage(std::string_view key, std::string_view image);
  Result<void> ReadJournal();

  LocalFileSystem& fs_;
  const std::function<void(std::string_view)>& report_;
  const std::shared_ptr<const rocksdb::Snapshot> snapshot_;
  uint64_t problems_ = 0;
  std::unordered_map<uint64_t, Info> inodes_;
  std::unordered_set<uint64_t> orphans_;
  std::unordered_set<uint64_t> trash_;
  std::unordered_set<uint64_t> freed_;
  std::unordered_set<std::string> shares_;  // keys of kShares that there must be
  std::set<FileRef> shared_files_;
  std::set<FileRef> own_files_;  // of chunks that share
  std::map<vfs::RealmId, RealmRecord> realms_;
  std::map<vfs::RealmId, UsageDelta> usage_;
};

Result<void> LocalFileSystem::Checker::ReadInodes() {
  std::string prefix = FileSystemPrefix(fs_.number_);
  return Scan(Table::kInodes, prefix, [&](std::string_view key, std::string_view value) {
    uint64_t number = NumberAt(key, prefix.size());
    auto record = DecodeInode(value);
    if (record) inodes_[number].record = *record;
    if (!record) Problem(number, record.error().message());
    return true;
  });
}

void LocalFileSystem::Checker::CheckName(uint64_t directory, uint64_t hash,
                                         const NameRecord& name) {
  std::string shown = "the name \"" + name.name + "\"";
  auto above = inodes_.find(directory);
  if (above == inodes_.end() || above->second.record.type != FileType::kDirectory) {
    Problem(directory, shown + " lies in it, but it is no directory");
    return;
  }
  ++above->second.entries;
  uint64_t home = (fs_.NameHash(directory, name.name) & fs_.hash_mask_) + 3;
  if (hash < home || hash - home > 1024) Problem(directory, shown + " is stored at a wrong place");
  auto child = inodes_.find(name.inode);
  if (child == inodes_.end()) {
    Problem(directory,
            shown + " leads to inode " + std::to_string(name.inode) + ", which is not there");
    return;
  }
  Info& info = child->second;
  ++info.names;
  info.named_in = directory;
  if (info.record.generation != name.generation || info.record.type != name.type) {
    Problem(directory, shown + " speaks of another generation or type of its inode");
  }
  if (info.record.type != FileType::kDirectory) return;
  ++above->second.subdirectories;
  if (info.record.parent != directory) {
    Problem(name.inode, "its parent is said to be " + std::to_string(info.record.parent) +
                            ", but its name is in " + std::to_string(directory));
  }
}

Result<void> LocalFileSystem::Checker::ReadNames() {
  std::string prefix = FileSystemPrefix(fs_.number_);
  return Scan(Table::kNames, prefix, [&](std::string_view key, std::string_view value) {
    uint64_t directory = NumberAt(key, prefix.size());
    auto name = DecodeName(value);
    if (!name) Problem(directory, name.error().message());
    if (name && name->inode != 0) CheckName(directory, NumberAt(key, prefix.size() + 8), *name);
    return true;
  });
}

Result<void> LocalFileSystem::Checker::ReadMarks() {
  for (auto [letter, set] : {std::pair{'O', &orphans_}, {'T', &trash_}, {'X', &freed_}}) {
    std::string prefix = MetaPrefix(letter, fs_.number_);
    auto* marks = set;
    TRY(Scan(Table::kMeta, prefix, [&](std::string_view key, std::string_view) {
      marks->insert(NumberAt(key, prefix.size()));
      return true;
    }));
  }
  for (uint64_t orphan : orphans_) {
    if (!inodes_.contains(orphan)) Problem(orphan, "is marked as an orphan, but is not there");
  }
  return Ok();
}

Result<void> LocalFileSystem::Checker::ReadInline() {
  std::string prefix = FileSystemPrefix(fs_.number_);
  return Scan(Table::kInline, prefix, [&](std::string_view key, std::string_view value) {
    uint64_t number = NumberAt(key, prefix.size());
    auto inode = inodes_.find(number);
    if (inode == inodes_.end()) {
      Problem(number, "has bytes in the database, but is not there");
      return true;
    }
    Info& info = inode->second;
    if (info.record.type == FileType::kSymlink) {
      if (info.record.size != value.size()) Problem(number, "its target has another length");
      info.blocks = value.size();
    } else {
      info.blocks += (value.size() + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
      if (info.record.place != Place::kInline) Problem(number, "has bytes in two places");
    }
    return true;
  });
}

Result<void> LocalFileSystem::Checker::ReadChunks() {
  std::string prefix = FileSystemPrefix(fs_.number_);
  Result<void> status;
  TRY(Scan(Table::kChunks, prefix, [&](std::string_view key, std::string_view value) {
    ChunkId id{fs_.number_, NumberAt(key, prefix.size()), NumberAt(key, prefix.size() + 8)};
    auto row = ChunkRow::Decode(value);
    if (row) NoteShares(id, *row);
    auto inode = inodes_.find(id.inode);
    if (!row) {
      Problem(id.inode, row.error().message());
    } else if (inode == inodes_.end()) {
      if (!freed_.contains(id.inode)) Problem(id.inode, "has chunks, but is not there");
    } else {
      inode->second.blocks += row->Count(0, kChunkBlocks) * kBlockBytes;
      if (row->sharing && !inode->second.record.shares) {
        Problem(id.inode, "shares chunk files, and its inode does not say so");
      }
      if (inode->second.record.place != Place::kChunks) {
        Problem(id.inode, "has chunks, but its bytes are in the database");
      }
      status = CheckChunkFile(id, *row);
    }
    return status.ok();
  }));
  return status;
}

std::optional<std::string> LocalFileSystem::Checker::WrongFile(const ChunkId& id,
                                                               const ChunkRow& row) const {
  auto check = [&](const ChunkId& file, uint64_t blocks) -> std::optional<std::string> {
    if (blocks == 0) return {};
    auto size = fs_.chunks_.SizeOf(file);
    if (size && *size >= blocks * kBlockBytes) return {};
    return "chunk file " + std::to_string(id.index) + (size ? " is too short" : " is not there");
  };
  ChunkId own = id;
  if (row.sharing) own = {id.fs, row.sharing->own.inode, row.sharing->own.index};
  if (auto wrong = check(own, row.map.End())) return wrong;
  if (!row.sharing) return {};
  for (const SharedBlocks& part : row.sharing->shared) {
    auto end = static_cast<int64_t>(part.map.End()) + part.delta;
    auto wrong = check({id.fs, part.file.inode, part.file.index}, static_cast<uint64_t>(end));
    if (wrong) return "its shared " + *wrong;
  }
  return {};
}

Result<void> LocalFileSystem::Checker::CheckChunkFile(const ChunkId& id, const ChunkRow& row) {
  if (!WrongFile(id, row)) return Ok();
  auto inode = fs_.cache_.Find(id.inode);
  if (inode.code() == Code::kStale) return Ok();  // removed meanwhile
  if (!inode) return inode.error();
  std::lock_guard flush((*inode)->flush_mutex);
  std::shared_lock lock((*inode)->mutex);
  if ((*inode)->gone) return Ok();
  TRY(auto stored, fs_.store_.Get(Table::kChunks, ChunkKey(id.fs, id.inode, id.index)));
  if (!stored) return Ok();
  TRY(ChunkRow now, ChunkRow::Decode(*stored));
  if ((*inode)->data) {
    auto chunk = (*inode)->data->chunks.find(id.index);
    if (chunk != (*inode)->data->chunks.end()) {
      // What the journal has comes into the file later.
      for (auto& [block, entry] : chunk->second.journal) {
        if (entry.logged || entry.storing) now.map.Clear(block, block + 1);
      }
    }
  }
  if (auto wrong = WrongFile(id, now)) Problem(id.inode, *wrong);
  return Ok();
}

void LocalFileSystem::Checker::NoteShares(const ChunkId& id, const ChunkRow& row) {
  if (!row.sharing) return;
  for (const FileRef& file : row.sharing->stored) {
    shares_.insert(ShareKey(ChunkKey(id.fs, file.inode, file.index), id.inode, id.index));
  }
  for (const SharedBlocks& part : row.sharing->shared) {
    shared_files_.insert(part.file);
  }
  uint64_t blocks = 0;
  for (uint64_t at = 0; at < kChunkBlocks; at += row.Run(at, kChunkBlocks)) {
    if (row.Has(at)) blocks += row.Run(at, kChunkBlocks);
  }
  if (blocks != row.Count(0, kChunkBlocks)) Problem(id.inode, "has a block in two files");
  FileRef own = row.sharing->own;
  if (own.inode != 0 && !own_files_.insert(own).second) {
    Problem(id.inode, "writes into the chunk file of another chunk");
  }
}

// The references and their counts: each use of a file has its key, and each key its use; and nobody
// writes into a file that is shared.
Result<void> LocalFileSystem::Checker::ReadShares() {
  std::string prefix = FileSystemPrefix(fs_.number_);
  TRY(Scan(Table::kShares, prefix, [&](std::string_view key, std::string_view) {
    if (shares_.erase(std::string(key)) > 0) return true;
    Problem(NumberAt(key, prefix.size() + 16),
            "is said to use a chunk file of " + std::to_string(NumberAt(key, prefix.size())));
    return true;
  }));
  for (const std::string& key : shares_) {
    Problem(NumberAt(key, prefix.size() + 16), "uses a chunk file of " +
                                                   std::to_string(NumberAt(key, prefix.size())) +
                                                   ", and is not counted as its user");
  }
  for (const FileRef& file : shared_files_) {
    TRY(auto stored, fs_.store_.Get(Table::kChunks, ChunkKey(fs_.number_, file.inode, file.index),
                                    snapshot_.get()));
    bool own = own_files_.contains(file);
    if (stored) {
      auto row = ChunkRow::Decode(*stored);
      own = own || (row && !row->sharing);
    }
    if (own) Problem(file.inode, "writes into a chunk file that is shared");
  }
  return Ok();
}

// By a chunk, or it is about to be removed.
Result<bool> LocalFileSystem::Checker::IsFileUsed(const FileRef& file) {
  if (freed_.contains(file.inode) || shared_files_.contains(file) || own_files_.contains(file)) {
    return true;
  }
  TRY(auto stored, fs_.store_.Get(Table::kChunks, ChunkKey(fs_.number_, file.inode, file.index),
                                  snapshot_.get()));
  auto row = stored ? ChunkRow::Decode(*stored) : Result<ChunkRow>(ChunkRow());
  if (stored && (!row || !row->sharing)) return true;
  TRY(auto mark, fs_.store_.Get(Table::kMeta, UnsharedKey(fs_.number_, file.inode, file.index),
                                snapshot_.get()));
  return mark.has_value();
}

Result<void> LocalFileSystem::Checker::ReadSums() {
  std::optional<FileRef> last;
  Result<bool> used = true;
  TRY(Scan(Table::kSums, FileSystemPrefix(fs_.number_), [&](std::string_view key, auto value) {
    auto at = DecodePartKey(key);
    FileRef file{NumberAt(key, 4), NumberAt(key, 12)};
    if (!at) {
      Problem(file.inode, "of its checksums " + at.error().message());
      return true;
    }
    if (last != file) used = IsFileUsed(file);
    last = file;
    std::string shown = "the checksums of region " + std::to_string(at->part) + " of chunk file " +
                        std::to_string(file.index);
    if (used && !*used) Problem(file.inode, shown + " are there, but nobody uses that file");
    if (at->part >= kChunkRegions) Problem(file.inode, shown + " lie outside of it");
    if (!RegionSums::Decode(value)) Problem(file.inode, shown + " cannot be understood");
    return used.ok();
  }));
  if (!used) return used.error();
  return Ok();
}

// What is wrong with a row of the journal.
Result<std::optional<std::string>> LocalFileSystem::Checker::WrongImage(std::string_view key,
                                                                        std::string_view image) {
  using Wrong = std::optional<std::string>;
  auto at = DecodePartKey(key);
  if (!at || !IsImage(image)) return Wrong("a block in the journal cannot be understood");
  std::string shown = "block " + std::to_string(at->part) + " of chunk " +
                      std::to_string(at->index) + " in the journal ";
  if (!inodes_.contains(at->inode)) return Wrong(shown + "is of no file");
  TRY(auto stored,
      fs_.store_.Get(Table::kChunks, ChunkKey(fs_.number_, at->inode, at->index), snapshot_.get()));
  auto row = stored ? ChunkRow::Decode(*stored) : Result<ChunkRow>(ChunkRow());
  if (!row) return Wrong();  // ReadChunks told it
  if (at->part >= kChunkBlocks || !row->map.Has(at->part)) {
    return Wrong(shown + "is not in the chunk's map");
  }
  return Wrong();
}

Result<void> LocalFileSystem::Checker::ReadJournal() {
  Result<void> status;
  TRY(Scan(Table::kJournal, FileSystemPrefix(fs_.number_), [&](std::string_view key, auto value) {
    auto wrong = WrongImage(key, value);
    if (!wrong) status = wrong.error();
    if (wrong && *wrong) Problem(NumberAt(key, 4), **wrong);
    return wrong.ok();
  }));
  return status;
}

Result<void> LocalFileSystem::Checker::ReadXattrs() {
  std::string prefix = FileSystemPrefix(fs_.number_);
  return Scan(Table::kXattrs, prefix, [&](std::string_view key, std::string_view value) {
    uint64_t number = NumberAt(key, prefix.size());
    auto xattr = DecodeXattr(value);
    auto inode = inodes_.find(number);
    if (!xattr) {
      Problem(number, xattr.error().message());
    } else if (inode == inodes_.end()) {
      Problem(number, "has extended attributes, but is not there");
    } else {
      ++inode->second.xattrs;
      inode->second.xattr_bytes += xattr->name.size() + xattr->value.size();
      if (fs_.XattrHash(number, xattr->name) != NumberAt(key, prefix.size() + 8)) {
        Problem(number, "its attribute \"" + xattr->name + "\" is stored at a wrong place");
      }
    }
    return true;
  });
}

Result<void> LocalFileSystem::Checker::ReadRealms() {
  std::string prefix = MetaPrefix('R', fs_.number_);
  return Scan(Table::kMeta, prefix, [&](std::string_view key, std::string_view value) {
    vfs::RealmId id = NumberAt(key, prefix.size());
    auto record = DecodeRealm(value);
    if (record) realms_[id] = *record;
    if (!record) Problem(0, "realm " + std::to_string(id) + ": " + record.error().message());
    return true;
  });
}

void LocalFileSystem::Checker::CheckDirectory(uint64_t number, const Info& inode) {
  const InodeRecord& record = inode.record;
  if (record.links != 2 + inode.subdirectories) {
    Problem(number, "has " + std::to_string(record.links) + " links, but " +
                        std::to_string(inode.subdirectories) + " directories lie in it");
  }
  if (record.entries != inode.entries) {
    Problem(number, "counts " + std::to_string(record.entries) + " entries, but has " +
                        std::to_string(inode.entries));
  }
  bool nameless = number == kRootInode || trash_.contains(number);
  if (inode.names != (nameless ? 0 : 1)) {
    Problem(number, "is a directory with " + std::to_string(inode.names) + " names");
  }
}

void LocalFileSystem::Checker::CheckLinks(uint64_t number, const Info& inode) {
  const InodeRecord& record = inode.record;
  if (record.type == FileType::kDirectory) return CheckDirectory(number, inode);
  if (record.links != inode.names) {
    Problem(number, "counts " + std::to_string(record.links) + " links, but has " +
                        std::to_string(inode.names) + " names");
  }
  if ((record.links == 0) != orphans_.contains(number)) {
    Problem(number, record.links == 0 ? "has no name and is not marked as an orphan"
                                      : "is marked as an orphan, but has a name");
  }
}

void LocalFileSystem::Checker::CheckSpace(uint64_t number, const Info& inode) {
  const InodeRecord& record = inode.record;
  if (record.xattrs != inode.xattrs || record.xattr_bytes != inode.xattr_bytes) {
    Problem(number, "counts " + std::to_string(record.xattrs) + " extended attributes of " +
                        std::to_string(record.xattr_bytes) + " bytes, but has " +
                        std::to_string(inode.xattrs) + " of " + std::to_string(inode.xattr_bytes));
  }
  bool right = record.type == FileType::kSymlink ? inode.blocks == record.size
                                                 : inode.blocks == record.space_used;
  if (right) return;
  Problem(number, "counts " + std::to_string(record.space_used) + " bytes of space, but has " +
                      std::to_string(inode.blocks));
}

void LocalFileSystem::Checker::CountUsage(uint64_t number, const Info& inode) {
  vfs::RealmId realm = inode.record.realm;
  if (!realms_.contains(realm)) {
    Problem(number, "belongs to realm " + std::to_string(realm) + ", which is not there");
    return;
  }
  auto above = inodes_.find(inode.named_in);
  if (above != inodes_.end() && inode.names == 1 && above->second.record.realm != realm &&
      realms_[realm].root != number) {
    bool moving = realms_[realm].state == RealmState::kEntering ||
                  realms_[above->second.record.realm].state == RealmState::kLeaving;
    if (!moving) Problem(number, "is of another realm than its directory");
  }
  for (auto at = realms_.find(realm); at != realms_.end(); at = realms_.find(at->second.parent)) {
    usage_[at->first].bytes += static_cast<int64_t>(inode.record.Footprint());
    usage_[at->first].files += 1;
  }
}

Result<void> LocalFileSystem::Checker::CheckUsage() {
  for (auto& [id, record] : realms_) {
    TRY(auto stored, fs_.store_.Get(Table::kMeta, UsageKey(fs_.number_, id), snapshot_.get()));
    TRY(UsageDelta usage, stored ? DecodeUsage(*stored) : UsageDelta());
    const UsageDelta& counted = usage_[id];
    if (usage.bytes != counted.bytes || usage.files != counted.files) {
      Problem(record.root,
              "realm " + std::to_string(id) + " counts " + std::to_string(usage.bytes) +
                  " bytes in " + std::to_string(usage.files) + " files, but has " +
                  std::to_string(counted.bytes) + " in " + std::to_string(counted.files));
    }
  }
  return Ok();
}

Result<uint64_t> LocalFileSystem::Check(const std::function<void(std::string_view)>& report) {
  if (deleted_) return Error(Code::kStale);
  TRY(RemoveStrayChunks(hurry_));
  TRY(GoOn());
  return Checker(*this, report).Run();
}

}  // namespace tarn::local
