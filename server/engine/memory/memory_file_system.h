// MemoryFileSystem: one file system as maps under one lock. See memory_engine.h.
//
// The methods are spread by topic: names.cc, rename.cc, attributes.cc, data.cc, sparse.cc,
// xattrs.cc, realms.cc, check.cc and memory_file_system.cc for what they share.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "common/clock.h"
#include "server/engine/memory/sparse_bytes.h"
#include "server/vfs/file_system.h"

namespace tarn::engine {

class MemoryFileSystem : public vfs::FileSystem {
 public:
  explicit MemoryFileSystem(const Clock& clock);
  // Frees all files: from now on every call is kStale.
  void Drop();

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
  uint64_t WriteVerifier() const override;
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

  void SimulateRestart();

 private:
  struct Entry {
    uint64_t inode = 0;
    uint64_t cookie = 0;
  };
  struct Xattr {
    uint64_t cookie = 0;
    std::string value;
  };
  struct Inode {
    vfs::Attributes attributes;
    SparseBytes data;
    // What a crash would leave of `data`; absent when all of it is committed.
    std::optional<SparseBytes> committed;
    std::optional<uint64_t> verifier;  // of the exclusive create that made it
    std::string target;                // of a symlink
    std::map<std::string, Xattr, std::less<>> xattrs;
    uint64_t xattr_bytes = 0;  // of names and values
    uint64_t next_xattr = 1;
    uint64_t pins = 0;
    // Of a directory. The names in order of their cookies are in `by_cookie`.
    uint64_t parent = 0;  // 0: the root, or removed
    std::map<std::string, Entry, std::less<>> entries;
    std::map<uint64_t, std::string> by_cookie;
  };
  struct Realm {
    uint64_t root = 0;
    vfs::RealmId parent = 0;  // 0: none
    vfs::Quota quota;
    vfs::Usage usage;
  };
  // A change that was made, for ReplayTag. `made` is of a Create, `copied` of a Copy.
  struct Replay {
    uint64_t sequence = 0;
    vfs::FileId made;
    bool existed = false;
    vfs::DirectoryChange source;
    vfs::DirectoryChange target;
    uint64_t copied = 0;
  };
  struct Delta {
    int64_t bytes = 0;
    int64_t files = 0;
  };

  // --- shared; all with mutex_ held ---
  vfs::Time Now() const;
  // kStale unless it exists, within caller.realm.
  Result<Inode*> Find(const vfs::Caller& caller, vfs::FileId id);
  Result<Inode*> FindDirectory(const vfs::Caller& caller, vfs::FileId id);
  Result<Inode*> FindRegular(const vfs::Caller& caller, vfs::FileId id);
  // The entry's inode, or null.
  Inode* Child(const Inode& directory, std::string_view name);
  bool RealmWithin(vfs::RealmId realm, vfs::RealmId outer) const;
  bool IsRealmRoot(const Inode& inode) const;
  // Counts in the realm and all around it. kQuota, and nothing counted, if one would exceed its
  // quota by it. What shrinks never fails.
  Result<void> Charge(vfs::RealmId realm, Delta delta);
  void Count(vfs::RealmId realm, Delta delta);
  void Changed(Inode& inode);      // metadata: change and ctime
  void DataChanged(Inode& inode);  // and mtime
  // Copies size and space from the data into the attributes.
  static void ShowSize(Inode& inode);

  // The change that this caller's tag names, or null; and its opposite.
  const Replay* Replayed(const vfs::Caller& caller) const;
  void Keep(const vfs::Caller& caller, const Replay& replay);

  // --- names.cc ---
  void AddEntry(Inode& directory, std::string_view name, Inode& child);
  void DropEntry(Inode& directory, std::string_view name);
  Result<Inode*> MakeInode(const vfs::Caller& caller, Inode& directory,
                           const vfs::CreateOptions& options);
  Result<vfs::Created> OpenExisting(const vfs::Caller& caller, Inode& directory, Inode& existing,
                                    const vfs::CreateOptions& options);
  Result<void> CheckDepth(const Inode& directory) const;
  // One name of it went; frees it if that was the last one and nothing pins it.
  void DropLink(Inode& inode);
  void Free(Inode& inode);
  void FreeIfUnused(Inode& inode);

  // --- rename.cc ---
  struct Move {
    Inode* source_directory;
    Inode* target_directory;
    Inode* file;
    Inode* replaced;  // or null
  };
  Result<Move> PlanMove(const vfs::Caller& caller, vfs::FileId source_directory,
                        std::string_view source_name, vfs::FileId target_directory,
                        std::string_view target_name);
  Result<void> CheckMove(const vfs::Caller& caller, const Move& move) const;
  static Result<void> CheckReplace(const Inode& file, const Inode& replaced);
  bool LiesIn(const Inode& directory, const Inode& outer) const;

  // --- attributes.cc ---
  void Apply(const vfs::Caller& caller, Inode& inode, const vfs::AttributeChange& change);

  // --- sparse.cc ---
  Result<Inode*> FindToWrite(const vfs::Caller& caller, vfs::FileId file, bool opened);
  // The data is what it shall be: all of it is durable, counted and seen. kQuota is not looked at.
  void DataStored(const vfs::Caller& caller, Inode& inode);
  struct Sides {
    Inode* source;
    Inode* target;
  };
  Result<Sides> FindSides(const vfs::Caller& caller, const vfs::DataPlace& source,
                          const vfs::DataPlace& target);
  void CopyBytes(const Inode& source, uint64_t from, Inode& target, uint64_t to, uint64_t length);

  // --- xattrs.cc ---
  Result<Inode*> FindWithXattrs(const vfs::Caller& caller, vfs::FileId file, uint32_t wanted);
  vfs::FileChange XattrsChanged(const vfs::Caller& caller, Inode& inode);

  // --- realms.cc ---
  Result<uint64_t> MakePath(std::string_view path,
                            const std::optional<vfs::CreationInfo>& creation);
  Result<Inode*> MakeRealmDirectory(Inode& parent, std::string_view name,
                                    const vfs::CreationInfo& creation);
  // Gives what realm `from` has in the tree to realm `to`, realms in it included; returns the usage
  // of all that.
  vfs::Usage Reassign(Inode& directory, vfs::RealmId from, vfs::RealmId to);
  // All that realm `from` still has belongs to `heir` from now on. `from` is gone.
  void Inherit(vfs::RealmId from, vfs::RealmId heir);
  // Takes all names out of the tree; pinned files and those with names elsewhere live on.
  void DeleteTree(Inode& directory);

  // --- check.cc ---
  using Report = std::function<void(const std::string&)>;
  void CheckEntries(const Report& problem, std::unordered_map<uint64_t, uint32_t>& links) const;
  void CheckInode(const Inode& inode, uint32_t links, const Report& problem) const;
  void CheckUsage(const Report& problem) const;

  const Clock& clock_;
  mutable std::mutex mutex_;
  std::map<uint64_t, Inode> inodes_;
  std::map<vfs::RealmId, Realm> realms_;
  std::map<std::string, Replay, std::less<>> replays_;  // by slot
  uint64_t next_inode_ = 2;
  vfs::RealmId next_realm_ = vfs::kRootRealm + 1;
  uint64_t verifier_;
  bool keeps_orphans_ = false;  // from a restart to ReleaseOrphans
};

}  // namespace tarn::engine
