// GatedFileSystem: an encrypted file system as its callers see it. It passes calls on to the
// engine's own one while that is unlocked, and answers all with one error while it is not. The
// object stays for as long as the engine; what is behind it comes and goes.
//
// Open files stay open over a lock: pins are counted here too, and taken again of a file system
// that does not know them. Threads: any; Open and Close one at a time.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "server/vfs/file_system.h"

namespace tarn::vfs {

class GatedFileSystem final : public FileSystem {
 public:
  // Closed. `released`: nobody has files of an earlier run open (FileSystem::ReleaseOrphans).
  GatedFileSystem(Error closed, bool released);
  // What calls answer while the file system is locked: kUnavailable, try again; or kDenied.
  static Error LockedError(LockReason reason);

  // --- for the engine ---
  // From now on calls go to `inner`. `fresh`: it was just loaded, and knows of no open files.
  void Open(FileSystem& inner, bool fresh);
  // From now on calls answer `why`; waits for those that run. Of a closed one: changes the answer.
  void Close(Error why);
  bool open() const { return inner_.load() != nullptr; }
  // As a restart: nobody has anything open.
  void ForgetPins();

  // While it lives, Close waits. Null when closed.
  class Pass {
   public:
    explicit Pass(const GatedFileSystem& gate);
    ~Pass();
    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;
    FileSystem* get() const { return inner_; }

   private:
    const GatedFileSystem& gate_;
    FileSystem* inner_ = nullptr;
    bool counted_ = false;
  };

  Result<FileId> RealmRoot(RealmId realm) override;
  Result<Attributes> Lookup(const Caller& caller, FileId directory, std::string_view name) override;
  Result<Attributes> LookupParent(const Caller& caller, FileId directory) override;
  Result<Created> Create(const Caller& caller, FileId directory, std::string_view name,
                         const CreateOptions& options) override;
  Result<DirectoryChange> Link(const Caller& caller, FileId file, FileId directory,
                               std::string_view name) override;
  Result<DirectoryChange> Remove(const Caller& caller, FileId directory,
                                 std::string_view name) override;
  Result<Renamed> Rename(const Caller& caller, FileId source_directory,
                         std::string_view source_name, FileId target_directory,
                         std::string_view target_name) override;
  Result<bool> ReadDirectory(const Caller& caller, FileId directory, uint64_t cookie,
                             bool with_attributes, const DirectoryVisitor& visit) override;
  Result<std::string> ReadSymlink(const Caller& caller, FileId symlink) override;
  Result<Attributes> GetAttributes(const Caller& caller, FileId file) override;
  Result<Attributes> SetAttributes(const Caller& caller, FileId file,
                                   const AttributeChange& change) override;
  Result<Attributes> Open(const Caller& caller, FileId file, bool read, bool write) override;
  Result<void> Pin(FileId file) override;
  void Unpin(FileId file) override;
  Result<void> ReleaseOrphans() override;
  Result<ReadResult> Read(const Caller& caller, FileId file, bool opened, uint64_t offset,
                          std::span<std::byte> buffer) override;
  Result<WriteResult> Write(const Caller& caller, FileId file, bool opened, uint64_t offset,
                            std::span<const std::byte> data, Stability stability) override;
  Result<void> Commit(const Caller& caller, FileId file, uint64_t offset, uint64_t length) override;
  uint64_t WriteVerifier() const override;
  Result<void> Allocate(const Caller& caller, FileId file, bool opened, uint64_t offset,
                        uint64_t length) override;
  Result<void> Deallocate(const Caller& caller, FileId file, bool opened, uint64_t offset,
                          uint64_t length) override;
  Result<SeekResult> Seek(const Caller& caller, FileId file, bool opened, uint64_t offset,
                          ExtentKind what) override;
  Result<void> Clone(const Caller& caller, const DataPlace& source, const DataPlace& target,
                     uint64_t length) override;
  Result<uint64_t> Copy(const Caller& caller, const DataPlace& source, const DataPlace& target,
                        uint64_t length) override;
  Result<std::string> GetXattr(const Caller& caller, FileId file, std::string_view name) override;
  Result<FileChange> SetXattr(const Caller& caller, FileId file, std::string_view name,
                              std::string_view value, XattrMode mode) override;
  Result<bool> ListXattrs(const Caller& caller, FileId file, uint64_t cookie,
                          const XattrVisitor& visit) override;
  Result<FileChange> RemoveXattr(const Caller& caller, FileId file, std::string_view name) override;
  Result<void> ForgetReplays(std::string_view prefix) override;
  Result<RealmId> EnsureRealm(std::string_view path,
                              const std::optional<CreationInfo>& creation) override;
  Result<void> SetQuota(RealmId realm, const Quota& quota) override;
  Result<SpaceInfo> GetSpace(RealmId realm) override;
  Result<void> RemoveRealm(RealmId realm, bool delete_data) override;
  Result<uint64_t> Check(const std::function<void(std::string_view)>& report) override;
  Result<ScrubCounts> Scrub(const ScrubPace& pace,
                            const std::function<void(std::string_view)>& report) override;

 private:
  struct IdHash {
    size_t operator()(const FileId& id) const { return id.inode * 0x9e3779b97f4a7c15; }
  };
  struct IdEqual {
    bool operator()(const FileId& a, const FileId& b) const {
      return a.inode == b.inode && a.generation == b.generation;
    }
  };

  Error Closed() const;
  // Calls it behind the gate, if that is open.
  template <typename R, typename... Parameters, typename... Arguments>
  R Through(R (FileSystem::*call)(Parameters...), Arguments&&... arguments);

  std::atomic<FileSystem*> inner_{nullptr};
  mutable std::atomic<int64_t> running_{0};  // calls, also such as find the gate closed
  mutable std::mutex mutex_;
  mutable std::condition_variable drained_;
  Error closed_;                    // guarded by mutex_
  std::atomic<uint64_t> verifier_;  // while closed

  std::mutex pins_mutex_;
  bool released_;                // guarded by pins_mutex_
  bool missed_release_ = false;  // while closed; guarded by pins_mutex_
  std::unordered_map<FileId, uint32_t, IdHash, IdEqual> pins_;  // guarded by pins_mutex_
  std::vector<FileId> missed_unpins_;  // while closed; guarded by pins_mutex_
};

}  // namespace tarn::vfs
