// LocalFileSystem: vfs::FileSystem over Store and ChunkFiles. Each file fs_*.cc is one part of it.
//
// How a change of names goes: lock the inodes concerned, check, build one Batch, write it, change
// the inodes in memory, unlock, and only then wait for the sync of the log, so that changes in one
// directory share a sync. Data: see fs_flush.cc. Locks: inode.h; before them the structure lock,
// which every change of names holds shared and a move of a tree between realms holds alone, and
// before that rename_mutex_.
#pragma once

#include <algorithm>
#include <deque>
#include <set>

#include "server/engine/local/inode.h"
#include "server/engine/local/overwrite_marks.h"
#include "server/engine/local/realms.h"
#include "server/engine/local/structure_lock.h"
#include "server/vfs/file_system.h"

namespace tarn::local {

// Files up to this size lie in the database whole: one log write makes them durable.
inline constexpr uint64_t kInlineBytesMax = 16 << 10;

// To whole blocks.
inline uint64_t RoundUp(uint64_t bytes) {
  return (bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
}

// What the journals of all file systems take: images in memory, and rows of the database.
struct JournalUse {
  std::atomic<size_t> bytes{0};
};
std::string EncodeImage(const BlockImage& image);
bool IsImage(std::string_view row);
BlockImage DecodeImage(std::string_view row);  // nullptr: it is none

struct FileSystemContext {
  Store& store;
  ChunkFiles& chunks;
  BlockSums& sums;
  JournalUse& journal;
  const LocalOptions& options;
  const Clock& clock;
  std::function<void()> wake;  // the engine's thread: there is something to reclaim
  uint64_t crashes = 0;        // starts that followed one, ever
  // While it is true, what runs long gives up with kUnavailable: somebody waits for this file
  // system to be locked, or for the engine's end.
  const std::atomic<bool>& hurry;
};

class LocalFileSystem final : public vfs::FileSystem {
 public:
  LocalFileSystem(const FileSystemContext& context, uint32_t number,
                  const FileSystemRecord& record);
  ~LocalFileSystem() override;
  // What a new file system consists of.
  static void Format(Batch& batch, uint32_t number, const FileSystemRecord& record,
                     const Clock& clock, uint64_t generation);
  // Reads realms and counters, and finishes what a crash interrupted.
  Result<void> Load();
  // It is of an earlier run: no file without names is freed before ReleaseOrphans. Before its use.
  void KeepOrphans() { keeps_orphans_ = true; }

  Result<vfs::FileId> RealmRoot(vfs::RealmId realm) override;
  Result<vfs::Attributes> Lookup(const vfs::Caller& caller, vfs::FileId directory,
                                 std::string_view name) override;
  Result<vfs::Attributes> LookupParent(const vfs::Caller& caller, vfs::FileId directory) override;
  Result<vfs::Created> Create(const vfs::Caller& caller, vfs::FileId directory,
                              std::string_view name, const vfs::CreateOptions& options) override;
  Result<vfs::DirectoryChange> Link(const vfs::Caller& caller, vfs::FileId file,
                                    vfs::FileId directory, std::string_view name) override;
  Result<vfs::DirectoryChange> Remove(const vfs::Caller& caller, vfs::FileId directory,
                                      std::string_view name) override;
  Result<Renamed> Rename(const vfs::Caller& caller, vfs::FileId source_directory,
                         std::string_view source_name, vfs::FileId target_directory,
                         std::string_view target_name) override;
  Result<bool> ReadDirectory(const vfs::Caller& caller, vfs::FileId directory, uint64_t cookie,
                             bool with_attributes, const vfs::DirectoryVisitor& visit) override;
  Result<std::string> ReadSymlink(const vfs::Caller& caller, vfs::FileId symlink) override;
  Result<vfs::Attributes> GetAttributes(const vfs::Caller& caller, vfs::FileId file) override;
  Result<vfs::Attributes> SetAttributes(const vfs::Caller& caller, vfs::FileId file,
                                        const vfs::AttributeChange& change) override;
  Result<vfs::Attributes> Open(const vfs::Caller& caller, vfs::FileId file, bool read,
                               bool write) override;
  Result<void> Pin(vfs::FileId file) override;
  void Unpin(vfs::FileId file) override;
  Result<void> ReleaseOrphans() override;
  Result<vfs::ReadResult> Read(const vfs::Caller& caller, vfs::FileId file, bool opened,
                               uint64_t offset, std::span<std::byte> buffer) override;
  Result<vfs::WriteResult> Write(const vfs::Caller& caller, vfs::FileId file, bool opened,
                                 uint64_t offset, std::span<const std::byte> data,
                                 vfs::Stability stability) override;
  Result<void> Commit(const vfs::Caller& caller, vfs::FileId file, uint64_t offset,
                      uint64_t length) override;
  uint64_t WriteVerifier() const override { return verifier_.load(); }
  Result<void> Allocate(const vfs::Caller& caller, vfs::FileId file, bool opened, uint64_t offset,
                        uint64_t length) override;
  Result<void> Deallocate(const vfs::Caller& caller, vfs::FileId file, bool opened, uint64_t offset,
                          uint64_t length) override;
  Result<vfs::SeekResult> Seek(const vfs::Caller& caller, vfs::FileId file, bool opened,
                               uint64_t offset, vfs::ExtentKind what) override;
  Result<void> Clone(const vfs::Caller& caller, const vfs::DataPlace& source,
                     const vfs::DataPlace& target, uint64_t length) override;
  Result<uint64_t> Copy(const vfs::Caller& caller, const vfs::DataPlace& source,
                        const vfs::DataPlace& target, uint64_t length) override;
  Result<std::string> GetXattr(const vfs::Caller& caller, vfs::FileId file,
                               std::string_view name) override;
  Result<vfs::FileChange> SetXattr(const vfs::Caller& caller, vfs::FileId file,
                                   std::string_view name, std::string_view value,
                                   vfs::XattrMode mode) override;
  Result<bool> ListXattrs(const vfs::Caller& caller, vfs::FileId file, uint64_t cookie,
                          const vfs::XattrVisitor& visit) override;
  Result<vfs::FileChange> RemoveXattr(const vfs::Caller& caller, vfs::FileId file,
                                      std::string_view name) override;
  Result<void> ForgetReplays(std::string_view prefix) override;
  Result<vfs::RealmId> EnsureRealm(std::string_view path,
                                   const std::optional<vfs::CreationInfo>& creation) override;
  Result<void> SetQuota(vfs::RealmId realm, const vfs::Quota& quota) override;
  Result<vfs::SpaceInfo> GetSpace(vfs::RealmId realm) override;
  Result<void> RemoveRealm(vfs::RealmId realm, bool delete_data) override;
  Result<uint64_t> Check(const std::function<void(std::string_view)>& report) override;
  Result<vfs::ScrubCounts> Scrub(const vfs::ScrubPace& pace,
                                 const std::function<void(std::string_view)>& report) override;

  // --- for the engine ---
  uint32_t number() const { return number_; }
  // From now on every call is kStale.
  void MarkDeleted() { deleted_ = true; }
  bool deleted() const { return deleted_.load(); }
  // Writes back what is dirty for long, and reclaims. Returns early once `stop` is true. True:
  // there is more to do at once.
  bool Maintain(const std::atomic<bool>& stop);
  // Removes chunk files that no inode refers to: what a crash can leave behind.
  Result<uint64_t> RemoveStrayChunks(const std::atomic<bool>& stop);
  // Writes back everything.
  Result<void> FlushAll();
  // Brings what is in the journal into the chunk files.
  Result<void> ApplyJournal(const std::atomic<bool>& stop);
  // New sums for blocks that a crashed process was overwriting.
  void SettleOverwrites(const std::atomic<bool>& stop);
  Result<void> EndOverwrites() { return marks_.End(); }  // after FlushAll
  // Gives back what is counted for all file systems together: before it goes. Nobody is in it.
  void Abandon();

 private:
  using Ticket = Store::Ticket;
  struct Slot {  // where a name is, or would be, in its directory
    uint64_t hash = 0;
    std::optional<NameRecord> found;
  };
  // A batch about to be written, and what to do in memory when it was.
  struct Change {
    explicit Change(const Store& store) : batch(store) {}
    Batch batch;
    std::vector<std::function<void()>> apply;
    std::vector<InodePtr> freed;
  };
  struct Pending;  // fs_flush.cc
  class Checker;   // fs_check.cc
  class Scrubber;  // fs_scrub.cc

  // --- fs_core.cc ---
  vfs::Time Now() const;
  Result<uint64_t> NewNumber();
  // The file, whose lock must then be taken and Usable asked.
  Result<InodePtr> Find(vfs::FileId file);
  // The file of a name; its directory is locked. kCorrupt: it is not there.
  Result<InodePtr> Named(const NameRecord& name);
  Result<void> Usable(const vfs::Caller& caller, const Inode& inode, vfs::FileId id) const;
  Result<void> UsableDirectory(const vfs::Caller& caller, const Inode& inode, vfs::FileId id) const;
  uint64_t NameHash(uint64_t directory, std::string_view name) const;
  Result<Slot> FindName(uint64_t directory, std::string_view name);
  void PutName(Batch& batch, uint64_t directory, const Slot& slot, std::string_view name,
               const Inode& inode) const;
  // `filling`: the slot that the same batch fills.
  Result<void> DeleteName(Batch& batch, uint64_t directory, uint64_t hash,
                          std::optional<uint64_t> filling = {});
  void PutInode(Batch& batch, const Inode& inode, InodeRecord form) const;
  // Writes the batch and applies; the inodes concerned are locked. Dead files are forgotten.
  Result<Ticket> Apply(Change& change);
  Result<void> RefuseIfFull(uint64_t growth = 0) const;
  // The change attribute after this one.
  uint64_t NextChange(uint64_t change) const { return std::max(change + 1, change_base_); }
  // A directory after a change of its entries.
  InodeRecord Touched(const Inode& directory, int entries, int subdirectories) const;
  Result<uint32_t> DepthOf(uint64_t directory);

  // --- fs_replay.cc ---
  Result<void> LoadReplays();
  std::optional<ReplayRecord> Replayed(const vfs::Caller& caller);
  void KeepReplay(Batch& batch, const vfs::Caller& caller, ReplayRecord record) const;

  // --- fs_names.cc ---
  struct Made;
  Result<Made> CreateLocked(const vfs::Caller& caller, vfs::FileId directory, std::string_view name,
                            const vfs::CreateOptions& options);
  Result<Made> Existing(const NameRecord& found, const InodePtr& file,
                        const vfs::CreateOptions& options, uint64_t directory_change);
  Result<InodeRecord> NewRecord(const vfs::Caller& caller, const Inode& directory,
                                const vfs::CreateOptions& options) const;

  // --- fs_links.cc ---
  // Takes one name from a locked file; frees it, or makes it an orphan, with its last one.
  Result<void> DropLink(Change& change, const InodePtr& inode);
  // A client may have it open, and be about to say so.
  bool MayBeReclaimed(const Inode& inode) const {
    return keeps_orphans_.load() && inode.record.type == vfs::FileType::kRegular;
  }
  Result<void> FreeOrphan(const InodePtr& inode);
  void FreeLater(vfs::FileId orphan);
  void FreeLeftOrphans();
  Result<void> Free(Change& change, const InodePtr& inode);
  Result<Ticket> RemoveLocked(const vfs::Caller& caller, const InodePtr& directory,
                              const InodePtr& child, vfs::FileId directory_id, const Slot& slot,
                              ReplayRecord* result);
  struct RenameJob;
  Result<std::optional<Ticket>> TryRename(RenameJob& job);
  Result<Ticket> RenameLocked(RenameJob& job);
  Result<void> CheckRename(const RenameJob& job);
  // Is `inode` the directory, or above it?
  Result<bool> IsAbove(uint64_t inode, uint64_t directory);

  // --- fs_data.cc, fs_flush.cc ---
  Result<FileData::Chunk*> LoadChunk(Inode& inode, uint64_t index);
  Result<void> LoadInline(Inode& inode);
  Result<std::string> StoredInline(const Inode& inode);
  Result<bool> TryRead(Inode& inode, uint64_t offset, std::span<std::byte> buffer);
  Result<size_t> WriteLocked(Inode& inode, uint64_t offset, std::span<const std::byte> data,
                             bool in_place);
  Result<size_t> WriteInline(Inode& inode, uint64_t offset, std::span<const std::byte> data);
  Result<size_t> WriteChunks(Inode& inode, uint64_t offset, std::span<const std::byte> data,
                             bool in_place);
  Result<void> WriteBlocks(Inode& inode, uint64_t offset, std::span<const std::byte> data,
                           bool in_place);
  Result<void> MoveToChunks(Inode& inode, bool in_place);
  Result<void> ZeroTail(Inode& inode, uint64_t until);
  void TouchAccess(const InodePtr& inode);
  void MarkDirty(const InodePtr& inode);
  void Undirty(Inode& inode);
  Result<void> ReserveChange(Inode& inode);
  bool TooDirty(const Inode& inode) const;
  // Stores the file's data state; flush_mutex held, mutex not. `also` goes into the same batch, if
  // the file is dirty.
  using Addition = std::function<void(Batch&)>;
  Result<Ticket> Flush(const InodePtr& inode, const Addition& also = {});
  Result<Ticket> FlushOne(const InodePtr& inode);  // takes flush_mutex
  // `lock`, which holds the mutex, is given up while files are synced. nullptr: the mutex is kept.
  Result<Ticket> FlushLocked(const InodePtr& inode, std::unique_lock<std::shared_mutex>* lock,
                             const Addition& also);
  Result<Ticket> StorePending(const InodePtr& inode, Pending& pending, const Addition& also);
  Result<void> StoreChunks(Batch& batch, Inode& inode, Pending& pending);
  Result<void> DropSums(Batch& batch, const Inode& inode, uint64_t index);
  void NoteStored(const InodePtr& inode, Pending& pending);
  void TakeImages(FileData& data, Pending& pending);
  void TakePending(Inode& inode, Pending& pending);
  void PutBack(Inode& inode, Pending& pending);
  using Cut = std::vector<uint64_t>;  // chunks whose files lose bytes
  Result<Cut> Resize(Inode& inode, uint64_t size);
  Result<Cut> Shrink(Inode& inode, uint64_t size);
  Result<uint64_t> DropChunks(Inode& inode, uint64_t first, Cut& cut);
  void RemoveCutFiles(Inode& inode, const Cut& cut);

  // --- fs_sparse.cc, fs_copy.cc ---
  Result<void> UsableData(const vfs::Caller& caller, Inode& inode, vfs::FileId id, bool opened,
                          uint32_t wanted) const;
  // Attributes after a change of data. Sizes are not its business.
  void DataChanged(const vfs::Caller& caller, Inode& inode) const;
  // The first chunk from `index` on that may have data.
  Result<std::optional<uint64_t>> NextChunk(Inode& inode, uint64_t index);
  Result<uint64_t> InlineBytes(const Inode& inode);
  Result<vfs::SeekResult> SeekChunks(Inode& inode, uint64_t offset, bool data);
  Result<void> CheckRoom(Inode& inode, uint64_t offset, uint64_t end);
  Result<void> ReserveRange(Inode& inode, uint64_t offset, uint64_t end);
  Result<void> ReserveInline(Inode& inode, uint64_t end);
  Result<void> ReserveChunk(Inode& inode, uint64_t index, uint64_t first, uint64_t after);
  Result<void> ZeroBlockPart(Inode& inode, uint64_t offset, uint64_t end);
  Result<void> PunchInline(Inode& inode, uint64_t offset, uint64_t end);
  Result<Cut> PunchChunks(Inode& inode, uint64_t offset, uint64_t end);
  Result<void> PunchStep(const vfs::Caller& caller, const InodePtr& inode, uint64_t offset,
                         uint64_t end, bool last);
  Result<uint64_t> CheckCopy(const vfs::Caller& caller, const InodePtr& source,
                             const InodePtr& target, const vfs::DataPlace& from,
                             const vfs::DataPlace& to, uint64_t length);
  Result<size_t> CopyInto(const vfs::Caller& caller, const InodePtr& target,
                          const vfs::DataPlace& to, uint64_t offset,
                          std::span<const std::byte> data);

  // --- fs_clone.cc ---
  struct CloneJob;
  Result<void> CloneRange(CloneJob& job);
  Result<uint64_t> CheckClone(const CloneJob& job) const;
  Result<Cut> CloneBytes(const CloneJob& job);
  Result<Cut> CloneChunks(const CloneJob& job);
  Result<void> FreezeSource(const CloneJob& job);
  struct Piece;
  Result<bool> NextPiece(const CloneJob& job, uint64_t done, Piece& piece);
  Result<void> ClonePiece(const CloneJob& job, const Piece& piece);
  Result<void> CopyPiece(const CloneJob& job, const Piece& piece);
  Result<uint64_t> CopyByReference(const vfs::Caller& caller, const vfs::DataPlace& source,
                                   const vfs::DataPlace& target, uint64_t length);
  // Bytes of the range that are no holes.
  Result<uint64_t> CountRange(Inode& inode, uint64_t offset, uint64_t end);

  // --- fs_shares.cc ---
  // What a batch changes in the table of shares for one chunk.
  struct ShareChange {
    uint64_t index = 0;
    std::vector<FileRef> now;
    std::vector<FileRef> before;
    std::vector<FileRef> trim;  // blocks of these may be free
  };
  // The chunk's own file; inode 0: it has none yet.
  ChunkId OwnFile(const Inode& inode, uint64_t index, const ChunkRow& chunk) const;
  // Makes it, if need be, and counts it as written.
  Result<void> OpenOwn(Inode& inode, uint64_t index, FileData::Chunk& chunk);
  void RemoveUnstored(const FileData::Chunk& chunk);
  // The own file gets its name, if it has none yet.
  Result<void> NameOwn(uint64_t index, FileData::Chunk& chunk);
  Result<void> ReadShared(const Inode& inode, uint64_t index, const ChunkRow& chunk,
                          uint64_t within, std::span<std::byte> buffer);
  void TakeShares(uint64_t index, FileData::Chunk& chunk, bool empty,
                  std::vector<ShareChange>& changes) const;
  void PutShares(Batch& batch, uint64_t inode, const ShareChange& change) const;
  static void NoteShares(Inode& inode, const std::vector<ShareChange>& changes);
  // The stored chunks from `first` on use no files any more.
  Result<void> DropShares(Batch& batch, const Inode& inode, uint64_t first);
  Result<bool> IsUsed(const FileRef& file);
  Result<bool> ReclaimShared(const std::atomic<bool>& stop);
  Result<void> FreeShared(const FileRef& file);
  Result<void> TrimShared(const FileRef& file);

  // --- fs_xattrs.cc ---
  uint64_t XattrHash(uint64_t inode, std::string_view name) const;
  Result<std::optional<XattrRecord>> FindXattr(const Inode& inode, std::string_view name) const;
  // Stores the inode with its attributes' number and bytes changed by so much.
  Result<void> CheckMayChangeXattr(const vfs::Caller& caller, const Inode& inode, vfs::FileId file,
                                   std::string_view name) const;
  Result<vfs::FileChange> StoreXattrs(const vfs::Caller& caller, Inode& inode, Batch& batch,
                                      int count, int64_t bytes);

  // Of what runs long, at each step: see FileSystemContext::hurry.
  Result<void> GoOn() const;

  // --- fs_blocks.cc ---
  // A chunk file, as a chunk of an inode sees it.
  struct FileView {
    ChunkId file;
    uint64_t inode = 0;
    uint64_t index = 0;
    int64_t delta = 0;                     // blocks: from the chunk's to the file's
    const FileData::Chunk* own = nullptr;  // it is the chunk's own
  };
  FileView OwnView(const Inode& inode, uint64_t index, const FileData::Chunk& chunk) const {
    return {OwnFile(inode, index, chunk), inode.number, index, 0, &chunk};
  }
  Result<RegionSums> SumsOf(const FileView& view, uint64_t region);
  // Blocks by their number in the file.
  Result<void> ReadVerified(const FileView& view, uint64_t block, std::span<std::byte> buffer);
  Error WrongSum(const FileView& view, uint64_t block) const;
  // Bytes by their offset in the chunk.
  Result<void> ReadFile(const FileView& view, uint64_t within, std::span<std::byte> part);
  Result<void> ReadChunk(const Inode& inode, uint64_t index, const FileData::Chunk& chunk,
                         uint64_t within, std::span<std::byte> buffer);
  Result<void> Merge(const Inode& inode, uint64_t index, const FileData::Chunk& chunk,
                     uint64_t block, size_t skip, std::span<const std::byte> data,
                     std::span<std::byte> buffer);
  Result<void> WriteInPlace(Inode& inode, uint64_t index, FileData::Chunk& chunk, uint64_t within,
                            std::span<const std::byte> data);
  static void SumZeros(FileData::Chunk& chunk, uint64_t first, uint64_t after);
  void SumAgain(Inode& inode, uint64_t index, FileData::Chunk& chunk, uint64_t first,
                uint64_t after);

  // --- fs_journal.cc ---
  struct WritePlan {
    bool in_place = false;
    std::vector<OverwriteMarks::Range> unmarked;  // to be marked first
  };
  Result<WritePlan> PlanWrite(Inode& inode, uint64_t offset, uint64_t bytes);
  Result<void> SpillImages(Inode& inode);
  Result<void> WriteImages(Inode& inode, uint64_t index, FileData::Chunk& chunk, uint64_t within,
                           std::span<const std::byte> data);
  // The block's entry, which may be new.
  JournalBlock& AddImage(FileData::Chunk& chunk, uint64_t block);
  void ForgetImage(FileData& data, uint64_t index, uint64_t block);
  void DropImages(Inode& inode, uint64_t index, FileData::Chunk& chunk, uint64_t first,
                  uint64_t after);
  void ForgetImages(Inode& inode, FileData::Chunk& chunk);
  void DeleteJournal(Batch& batch, const Inode& inode) const;
  Result<void> LoadJournal();
  void LoseJournal(uint64_t first, uint64_t after);
  // kCorrupt: blocks of it may be lost.
  Result<void> CheckJournal(const Inode& inode) const;
  Result<void> LoadImage(std::string_view key, std::string_view value, Batch& batch);
  struct Applied;
  void MaintainJournal(const std::atomic<bool>& stop);
  Result<void> ApplyLocked(const InodePtr& inode);
  Result<bool> ApplyFile(const InodePtr& inode, bool locked);
  Result<void> FinishApply(const InodePtr& inode, std::span<const Applied> blocks, bool locked);

  // --- fs_mend.cc ---
  void NoteLoss(Inode& inode);
  Result<void> MendLost(Inode& inode);
  struct StoredChunk;
  Result<void> MendChunk(Inode& inode, uint64_t index, FileData::Chunk& chunk);
  Result<void> MendBlock(Inode& inode, const StoredChunk& before, FileData::Chunk& chunk,
                         uint64_t block);
  Result<bool> TakeStored(Inode& inode, const StoredChunk& before, FileData::Chunk& chunk,
                          uint64_t block);

  // --- fs_settle.cc ---
  Result<void> RenewMarked();
  void SettleOverwrite(const OverwriteMarks::Range& marked);
  Result<void> SettleChunk(Inode& inode, uint64_t index);
  Result<void> SettleRegion(Inode& inode, uint64_t index, uint64_t region);
  void Unmark();

  // --- fs_realms.cc ---
  Result<vfs::FileId> EnsureDirectory(std::string_view path,
                                      const std::optional<vfs::CreationInfo>& creation);
  Result<vfs::RealmId> MakeRealm(vfs::FileId directory);
  // Everything below a directory, from one realm into the next further in or out.
  Result<void> MoveTree(uint64_t root, Realm& from, Realm& to);
  Result<bool> MoveInode(uint64_t number, Realm& from, Realm& to);
  Result<void> MoveNested(Realm& nested, Realm& from, Realm& to);
  void CountMove(Batch& batch, Realm& from, Realm& to, int64_t bytes, int64_t files) const;
  Result<void> FinishEntering(Realm& realm);
  Result<void> FinishLeaving(Realm& realm);
  Result<void> FinishMoves();
  Result<Slot> NameOf(uint64_t directory, uint64_t inode);
  Result<Ticket> MoveToTrash(Realm& realm);

  // --- fs_reclaim.cc ---
  void WriteBack(const std::atomic<bool>& stop);
  Result<bool> ReclaimTrash(const std::atomic<bool>& stop);
  Result<bool> EmptyDirectory(uint64_t number);
  Result<void> RemoveTrashEntry(const InodePtr& directory, uint64_t hash, const NameRecord& entry);
  Result<bool> ReclaimFreed(const std::atomic<bool>& stop);
  Result<bool> ReclaimChunks(uint64_t number);
  Result<bool> RemoveIfStray(const ChunkId& id);
  Result<void> RemoveUnused(const ChunkId& id);
  // Of the chunk that has it as its own file: what is a hole takes no room.
  Result<void> TrimOwn(const ChunkId& id);
  Result<void> ForgetRealms();

  Store& store_;
  ChunkFiles& chunks_;
  BlockSums& sums_;
  JournalUse& journal_;
  const LocalOptions& options_;
  const Clock& clock_;
  const std::function<void()> wake_;
  const std::atomic<bool>& hurry_;
  const uint32_t number_;
  FileSystemRecord record_;
  const uint64_t hash_mask_;
  const uint64_t change_base_;  // what changes in this run has at least this change attribute
  std::atomic<bool> deleted_{false};
  std::atomic<uint64_t> verifier_;
  std::atomic<bool> keeps_orphans_{false};

  Realms realms_;
  InodeCache cache_;
  StructureLock structure_;
  std::mutex rename_mutex_;    // renames of directories between directories, so that no loop arises
  std::mutex realm_mutex_;     // one change of realms at a time
  std::mutex unshared_mutex_;  // over the removal of a shared file with its mark and sums
  std::mutex orphan_mutex_;
  std::vector<vfs::FileId> left_orphans_;  // could not be freed; guarded by orphan_mutex_

  std::mutex number_mutex_;
  uint64_t next_number_ = 0;       // guarded by number_mutex_
  uint64_t numbers_stored_ = 0;    // guarded by number_mutex_
  uint64_t first_new_number_ = 0;  // of this run; set by Load

  std::mutex replay_mutex_;
  std::map<std::string, ReplayRecord, std::less<>> replays_;  // of the last run, by slot
  std::atomic<bool> has_replays_{false};

  struct Dirty {
    InodePtr inode;
    Clock::Nanoseconds since;
  };
  mutable std::mutex dirty_mutex_;
  std::unordered_map<uint64_t, Dirty> dirty_;         // guarded by dirty_mutex_
  std::unordered_map<uint64_t, InodePtr> journaled_;  // guarded by dirty_mutex_
  Clock::Nanoseconds applied_at_{0};                  // of the engine's thread
  OverwriteMarks marks_;
  std::vector<std::pair<uint64_t, uint64_t>> journal_lost_;  // inodes; set by Load
  std::atomic<size_t> dirty_count_{0};
  std::atomic<size_t> dirty_bytes_{0};
  std::atomic<size_t> unsynced_files_{0};
};

}  // namespace tarn::local
