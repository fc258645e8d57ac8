// The storage engine interface: one file system, handle-based.
//
// Implementations: engine/memory (for tests), engine/local (RocksDB and chunk files), later
// engine/cephfs. Threads: every method may be called from any thread at any time; operations on one
// file are atomic to each other. Durability: a change of metadata (names, attributes, links) that
// returned ok is on stable storage. Data written kUnstable is there after Commit returned ok with
// the same WriteVerifier as the write; kDataSync and kFileSync are there on return. Permissions:
// every method checks the caller against mode bits, owner, groups and sticky bit (POSIX.1, EFS
// "Working with users, groups"); uid 0 passes. Errors: common/error.h, file part. kStale for an id
// that no longer or never existed here.
#pragma once

#include <memory>
#include <string>

#include "common/result.h"
#include "server/vfs/types.h"

namespace tarn {
class SecretBytes;
}

namespace tarn::vfs {

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  // The root directory of a realm. kNotFound: no such realm.
  virtual Result<FileId> RealmRoot(RealmId realm) = 0;

  // --- names ---
  // `name` is one component, not empty, "." or "..", without '/' or NUL (kInvalid), of at most
  // kNameBytesMax (kNameTooLong). A directory deeper than kDirectoryDepthMax is kNameTooLong too.
  virtual Result<Attributes> Lookup(const Caller& caller, FileId directory,
                                    std::string_view name) = 0;
  // The directory above; kNoEntry at the root of caller.realm, so that nobody leaves it.
  virtual Result<Attributes> LookupParent(const Caller& caller, FileId directory) = 0;
  // An existing name is kExists before the right to write is looked at. kUnchecked on a directory
  // is kIsDirectory. A device node that is not root's is kPermission. Without a mode: 0644, a
  // directory 0755.
  virtual Result<Created> Create(const Caller& caller, FileId directory, std::string_view name,
                                 const CreateOptions& options) = 0;
  // A directory is kIsDirectory, a file without a name kNoEntry.
  virtual Result<DirectoryChange> Link(const Caller& caller, FileId file, FileId directory,
                                       std::string_view name) = 0;
  // Removes a name; an empty directory too. The file itself lives on while it is pinned. The root
  // of a realm can be neither removed nor renamed nor replaced: kInUse.
  virtual Result<DirectoryChange> Remove(const Caller& caller, FileId directory,
                                         std::string_view name) = 0;
  struct Renamed {
    DirectoryChange source;
    DirectoryChange target;
  };
  // As POSIX rename(): two names of one file stay both; a directory replaces an empty one only, and
  // does not go into itself (kInvalid). A directory that changes its parent must be writable.
  virtual Result<Renamed> Rename(const Caller& caller, FileId source_directory,
                                 std::string_view source_name, FileId target_directory,
                                 std::string_view target_name) = 0;
  // Entries after `cookie` (0: from the start), without "." and "..". True when the end was
  // reached.
  virtual Result<bool> ReadDirectory(const Caller& caller, FileId directory, uint64_t cookie,
                                     bool with_attributes, const DirectoryVisitor& visit) = 0;
  virtual Result<std::string> ReadSymlink(const Caller& caller, FileId symlink) = 0;

  // --- attributes ---
  virtual Result<Attributes> GetAttributes(const Caller& caller, FileId file) = 0;
  virtual Result<Attributes> SetAttributes(const Caller& caller, FileId file,
                                           const AttributeChange& change) = 0;

  // --- data ---
  // Open checks rights (and that it is a regular file: kIsDirectory, kInvalid), then pins: the data
  // of a pinned file stays when its last name goes. Read and Write on a pinned file do not check
  // mode bits again when `opened` is true.
  virtual Result<Attributes> Open(const Caller& caller, FileId file, bool read, bool write) = 0;
  // One Pin per owner of open state; the file is freed with its last name and last pin. Pins do not
  // survive a restart: no regular file of the last run is freed before ReleaseOrphans, which the
  // server calls when its grace period ends, also when its last name or pin goes only now.
  virtual Result<void> Pin(FileId file) = 0;
  virtual void Unpin(FileId file) = 0;
  virtual Result<void> ReleaseOrphans() = 0;

  virtual Result<ReadResult> Read(const Caller& caller, FileId file, bool opened, uint64_t offset,
                                  std::span<std::byte> buffer) = 0;
  virtual Result<WriteResult> Write(const Caller& caller, FileId file, bool opened, uint64_t offset,
                                    std::span<const std::byte> data, Stability stability) = 0;
  virtual Result<void> Commit(const Caller& caller, FileId file, uint64_t offset,
                              uint64_t length) = 0;
  // Changes when unstable writes may have been lost, so at each start.
  virtual uint64_t WriteVerifier() const = 0;

  // --- sparse files, clones, copies (RFC 7862) ---
  // Of regular files only, with rights and `opened` as for Read and Write. What changes something
  // moves mtime, ctime and change as a write does, drops privilege bits as one, is durable on
  // return together with all earlier writes to that file, and takes part in ReplayTag.

  // Reserves storage for the range, so that writes into it fail neither with kNoSpace nor kQuota;
  // those errors come now. What was a hole reads as zeros, and may count as data for Seek. The file
  // grows if the range ends behind its end. Blocks that are shared with a clone are counted
  // already, but have no storage of their own until they are written. After an error, a part may
  // stay reserved, but the size is as before. kInvalid: length is 0; kFileTooBig.
  virtual Result<void> Allocate(const Caller& caller, FileId file, bool opened, uint64_t offset,
                                uint64_t length) = 0;
  // The range reads as zeros afterwards; the size stays, so what lies behind it is ignored. Whole
  // blocks of kCloneBlockBytes in it become holes and their storage is free. kInvalid: length is 0.
  virtual Result<void> Deallocate(const Caller& caller, FileId file, bool opened, uint64_t offset,
                                  uint64_t length) = 0;
  // kRange: `offset` is not within the file, which an empty one's never is (ENXIO of lseek).
  virtual Result<SeekResult> Seek(const Caller& caller, FileId file, bool opened, uint64_t offset,
                                  ExtentKind what) = 0;
  // The target's range becomes what the source's is, holes included, at one moment and without
  // copying: both share storage until one is written. `length` 0: up to the source's end. The
  // target grows if need be. Both are seen through one caller; files of two realms are fine.
  // kInvalid: an offset is no multiple of kCloneBlockBytes; the length is none, and the range does
  // not end at the source's end or ends within the target; the range reaches behind the source's
  // end; two ranges of one file overlap. kQuota, kNoSpace, kFileTooBig; nothing is changed then.
  virtual Result<void> Clone(const Caller& caller, const DataPlace& source, const DataPlace& target,
                             uint64_t length) = 0;
  // As Clone without its rules of alignment; shares whole blocks where it can, and may stop early
  // (after at least one byte): the result says how far it came. 0 bytes: the source ended, or the
  // range was empty. `length` 0: up to the source's end. kInvalid: two ranges of one file overlap.
  // Not atomic to changes of the source between calls.
  virtual Result<uint64_t> Copy(const Caller& caller, const DataPlace& source,
                                const DataPlace& target, uint64_t length) = 0;

  // --- extended attributes (RFC 8276): the user namespace ---
  // Of regular files and directories; kInvalid for others. A name is 1 to kXattrNameBytesMax bytes
  // (kNameTooLong) without NUL (kInvalid). To get and list, a caller must be allowed to read the
  // file, to set and remove, to write it; in a sticky directory's case only its owner
  // (kPermission). A change moves ctime and change, is durable on return, counts in space_used and
  // usage, and takes part in ReplayTag.

  // kNoData: there is none of that name.
  virtual Result<std::string> GetXattr(const Caller& caller, FileId file,
                                       std::string_view name) = 0;
  // kRange: the value has more than kXattrValueBytesMax bytes. kNoSpace: the file would have more
  // than kXattrsMax or kXattrFileBytesMax. kQuota.
  virtual Result<FileChange> SetXattr(const Caller& caller, FileId file, std::string_view name,
                                      std::string_view value, XattrMode mode) = 0;
  // Those after `cookie` (0: from the start). True when the last one was reached.
  virtual Result<bool> ListXattrs(const Caller& caller, FileId file, uint64_t cookie,
                                  const XattrVisitor& visit) = 0;
  virtual Result<FileChange> RemoveXattr(const Caller& caller, FileId file,
                                         std::string_view name) = 0;

  // Drops the replay records of all slots that begin with `prefix`: their session is gone.
  virtual Result<void> ForgetReplays(std::string_view /*prefix*/) { return Ok(); }

  // --- realms: usage, quota, roots of access points ---
  // The realm whose root is `path` (absolute, from the file system's root), made durable. Missing
  // directories are made: the last one with `creation`, those above it as root 0755. Without
  // `creation` a missing directory is kNoEntry. A path that is already a realm's root gives that
  // realm. What lies below an existing directory moves into the new realm.
  virtual Result<RealmId> EnsureRealm(std::string_view path,
                                      const std::optional<CreationInfo>& creation) = 0;
  virtual Result<void> SetQuota(RealmId realm, const Quota& quota) = 0;
  // In O(1).
  virtual Result<SpaceInfo> GetSpace(RealmId realm) = 0;
  // Forgets the realm. `delete_data`: its root directory is renamed into trash at once and
  // reclaimed in the background; kInUse if another realm lies in it, kInvalid for the root realm.
  virtual Result<void> RemoveRealm(RealmId realm, bool delete_data) = 0;

  // Checks every invariant while serving; each problem is one line to `report`. Returns the number
  // of problems.
  virtual Result<uint64_t> Check(const std::function<void(std::string_view)>& report) = 0;

  // Reads all stored bytes of files and compares them with their checksums, while serving; what has
  // none gets one. Each problem is one line to `report`. An engine without checksums has nothing to
  // do. kAborted: `pace` said so. kUnavailable, kDenied: it is locked, or was locked meanwhile.
  virtual Result<ScrubCounts> Scrub(const ScrubPace& /*pace*/,
                                    const std::function<void(std::string_view)>& /*report*/) {
    return ScrubCounts{};
  }
};

// Small durable records that live in the same database as the data: the control API's resources,
// the NFS server's client recovery records. Keys are ordered bytes. Threads: any. A Put or Delete
// that returned ok is on stable storage.
class RecordStore {
 public:
  virtual ~RecordStore() = default;
  virtual Result<std::optional<std::string>> Get(std::string_view key) = 0;
  virtual Result<void> Put(std::string_view key, std::string_view value) = 0;
  virtual Result<void> Delete(std::string_view key) = 0;
  // All records whose key begins with `prefix`, in order. Return false to stop.
  virtual Result<void> Scan(
      std::string_view prefix,
      const std::function<bool(std::string_view key, std::string_view value)>& visit) = 0;
};

// Of an encrypted file system's key.
inline constexpr size_t kKeyBytes = 32;

// Why an encrypted file system is locked, and so what all its calls answer.
enum class LockReason {
  kKeyNotThere,   // not yet, or not now: kUnavailable, so clients wait (NFS4ERR_DELAY)
  kKeyTakenAway,  // by the one who owns it: kDenied (NFS4ERR_ACCESS)
};

// A store holds many file systems and one record store; one process owns it (a lock file; kInUse).
//
// Encrypted file systems are locked after each start (kKeyNotThere) until Unlock. The engine keeps
// keys in memory only, and only while they are unlocked. Deleting one needs no key.
class Engine {
 public:
  virtual ~Engine() = default;
  virtual RecordStore& records() = 0;
  // `number` identifies a file system within this store and is part of every NFS file handle; never
  // reused. With a key it is encrypted, for ever, and unlocked now. kInvalid: the key has not
  // kKeyBytes. kNotSupported: this engine does not encrypt.
  virtual Result<uint32_t> CreateFileSystem(const SecretBytes* key = nullptr) = 0;
  // Serves again. Fine when it is unlocked. kInvalid: it is another key, or the file system is not
  // encrypted, which the message tells apart. kNotFound.
  virtual Result<void> Unlock(uint32_t number, const SecretBytes& key) = 0;
  // Writes back what is dirty, if that can be, and forgets the key and all that was decrypted.
  // Calls that come later, and those on files that stay open, answer as `reason` says. Waits for
  // calls that run; those of a slow disk may take their time. Of a locked one: changes the answer.
  // kInvalid: it is not encrypted. kNotFound. Another error: it is locked, but unstable writes may
  // be lost (WriteVerifier changes, as at a restart).
  virtual Result<void> Lock(uint32_t number, LockReason reason) = 0;
  // The server ends: what may take long (an unlock, a check, a move between realms, a large range)
  // ends soon, and is kUnavailable. For good.
  virtual void Hurry() {}
  // False also for numbers that are no file system's.
  virtual bool encrypted(uint32_t number) = 0;
  virtual bool locked(uint32_t number) = 0;
  // Its data goes, in the background if need be. Calls that run or come later are kStale.
  virtual Result<void> DeleteFileSystem(uint32_t number) = 0;
  // Owned by the engine; the object stays for as long as the engine, even when the file system is
  // deleted, since requests and open files may hold it. kNotFound.
  virtual Result<FileSystem*> GetFileSystem(uint32_t number) = 0;
  // As FileSystem::Scrub, of what belongs to no file system: the tables with names, attributes,
  // small files and records of all of them.
  virtual Result<ScrubCounts> ScrubTables(const ScrubPace& /*pace*/,
                                          const std::function<void(std::string_view)>& /*report*/) {
    return ScrubCounts{};
  }
  virtual EngineCounters counters() const { return {}; }
};

}  // namespace tarn::vfs
