// Plain data that the engine interface speaks in. No NFS type and no RPC type belongs here.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tarn::vfs {

// Limits, as EFS documents them (EFS user guide, "Quotas").
inline constexpr size_t kNameBytesMax = 255;
inline constexpr size_t kSymlinkBytesMax = 4080;
inline constexpr uint32_t kLinksMax = 177;
inline constexpr uint64_t kFileBytesMax = 52'673'613'135'872;
inline constexpr uint32_t kDirectoryDepthMax = 1000;
inline constexpr size_t kIoBytesMax = 1 << 20;  // one READ or WRITE

// Extended attributes (RFC 8276; Linux's limits where EFS has none). Names are those of the user
// namespace, without "user.". All of one file fit into what Linux's listxattr takes (64 KiB).
inline constexpr size_t kXattrNameBytesMax = 255;
inline constexpr size_t kXattrValueBytesMax = 64 << 10;
inline constexpr uint32_t kXattrsMax = 128;                // of a file
inline constexpr uint64_t kXattrFileBytesMax = 256 << 10;  // names and values of a file

// Clone works on blocks of this size (clone_blksize, RFC 7862 section 12.2.1).
inline constexpr uint64_t kCloneBlockBytes = 4096;
// The bytes that one Copy moves at most, besides those that it shares; a longer copy is several.
inline constexpr uint64_t kCopyBytesMax = 16 << 20;

// A file for as long as it exists, over restarts. Never reused: `generation` differs when an inode
// number returns.
struct FileId {
  uint64_t inode = 0;
  uint64_t generation = 0;
  auto operator<=>(const FileId&) const = default;
};

// A realm is a directory tree with a usage count and a quota of its own: the root of one or more
// access points. Every inode belongs to exactly one realm; realms nest, and usage counts in a realm
// and in all that enclose it. Renames and hard links across realms are refused (kCrossDevice), as
// XFS does for project quotas, so that the counts stay exact.
using RealmId = uint64_t;
inline constexpr RealmId kRootRealm = 1;  // the whole file system

// Names one change within one request of one client, so that it is made once although the request
// comes again after a restart. `slot` says where the client numbers its requests (a slot of an NFS
// 4.1 session, or a client address and a residue of its xids for 4.0, and the operation's place in
// the compound); `sequence` is the number there. An engine keeps the last successful change of each
// slot, in the same transaction as the change itself; after a restart, Create, Link, Remove,
// Rename, Allocate, Deallocate, Clone, Copy, SetXattr and RemoveXattr with the same slot and
// sequence give the recorded result instead of changing anything. Without it, a server that dies
// between its log write and its reply makes a retried rename or remove fail at the client, although
// it was done. Within one run the protocol's reply cache answers.
struct ReplayTag {
  std::string slot;  // at most 64 bytes
  uint64_t sequence = 0;
};

// Who asks, and how far they may reach. A call on a file outside `realm` (and the realms in it) is
// kStale.
struct Caller {
  uint32_t uid = 65534;
  uint32_t gid = 65534;
  std::vector<uint32_t> gids;  // supplementary
  RealmId realm = kRootRealm;
  bool read_only = false;  // every change is kReadOnly
  std::optional<ReplayTag> replay = std::nullopt;
};

enum class FileType : uint8_t {
  kRegular = 1,
  kDirectory,
  kSymlink,
  kFifo,
  kSocket,
  kBlockDevice,
  kCharacterDevice,
};

constexpr bool IsDevice(FileType type) {
  return type == FileType::kBlockDevice || type == FileType::kCharacterDevice;
}

// Which device a device node stands for, at the client that opens it. The server only keeps it.
struct DeviceNumber {
  uint32_t major = 0;
  uint32_t minor = 0;
  auto operator<=>(const DeviceNumber&) const = default;
};

struct Time {
  int64_t seconds = 0;
  uint32_t nanoseconds = 0;
  auto operator<=>(const Time&) const = default;
};

struct Attributes {
  FileId id;
  FileType type = FileType::kRegular;
  uint32_t mode = 0;  // permission bits with setuid, setgid and sticky: 07777
  uint32_t links = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint64_t size = 0;  // bytes
  // Bytes of storage: those of data or reserved by Allocate, shared ones (Clone) too, since a write
  // may need them any time; holes cost nothing; names and values of extended attributes.
  uint64_t space_used = 0;
  uint64_t change = 0;  // grows with every change of data or metadata (RFC 8881 section 5.8.1.4)
  Time access_time;
  Time modify_time;
  Time change_time;
  Time create_time;
  RealmId realm = kRootRealm;
  DeviceNumber device;  // of a device node
};

// What to set; an absent member stays. Times: `*_time_now` takes the server's clock.
struct AttributeChange {
  std::optional<uint32_t> mode;
  std::optional<uint32_t> uid;
  std::optional<uint32_t> gid;
  std::optional<uint64_t> size;
  std::optional<Time> access_time;
  std::optional<Time> modify_time;
  bool access_time_now = false;
  bool modify_time_now = false;
  // The caller has the file open for writing: mode bits do not stop a change of size.
  bool opened_for_write = false;
};

// A directory's change attribute around an operation that was atomic with it (RFC 8881
// change_info4).
struct DirectoryChange {
  uint64_t before = 0;
  uint64_t after = 0;
};

// The same of a file whose extended attributes change.
using FileChange = DirectoryChange;

struct Created {
  Attributes attributes;
  DirectoryChange directory;
  bool existed = false;  // only for kUnchecked and for a replay of kExclusive
};

enum class CreateMode : uint8_t {
  kUnchecked,  // an existing regular file is fine, and is truncated if change.size is 0
  kGuarded,    // an existing name is kExists
  kExclusive,  // as guarded, but a file made with the same verifier before is fine
};

struct CreateOptions {
  FileType type = FileType::kRegular;
  CreateMode mode = CreateMode::kGuarded;
  uint64_t verifier = 0;            // for kExclusive; durable until the next attribute change
  std::string_view symlink_target;  // for kSymlink
  DeviceNumber device;              // for kBlockDevice and kCharacterDevice
  AttributeChange attributes;
};

enum class Stability : uint8_t { kUnstable = 0, kDataSync = 1, kFileSync = 2 };

struct WriteResult {
  size_t bytes = 0;
  Stability stability = Stability::kUnstable;
};

struct ReadResult {
  size_t bytes = 0;
  bool end_of_file = false;
};

struct DirectoryEntry {
  uint64_t cookie =
      0;  // give it back to go on after this entry; stable over restarts and other entries' changes
  std::string_view name;  // valid during the visit only
  Attributes attributes;  // filled if asked for; else id and type only
};
// Return false to stop; the entry at which it stopped counts as not seen.
using DirectoryVisitor = std::function<bool(const DirectoryEntry&)>;

// bytes: the sum of space_used; files: the number of inodes. Both over everything that belongs to
// the realm: its root directory, what lies below it, the realms in it, and unlinked files that are
// pinned.
struct Usage {
  uint64_t bytes = 0;
  uint64_t files = 0;
};

struct Quota {
  uint64_t bytes_max = 0;  // 0: none
  uint64_t files_max = 0;  // 0: none
};

// What statfs shows of a realm: its quota if it has one, else the file system's size.
struct SpaceInfo {
  uint64_t bytes_total = 0;
  uint64_t bytes_free = 0;
  uint64_t files_total = 0;
  uint64_t files_free = 0;
  Usage usage;
  Quota quota;
};

// How a realm's root directory is made when it is not there (EFS CreationInfo).
struct CreationInfo {
  uint32_t owner_uid = 0;
  uint32_t owner_gid = 0;
  uint32_t permissions = 0755;
};

enum class ExtentKind : uint8_t { kData, kHole };

// Where Seek ended: `offset` is the first byte of that kind at or after the one asked for. At the
// end of the file, `offset` is its size: there is no more data, or what follows is the hole that
// every file ends with.
struct SeekResult {
  uint64_t offset = 0;
  bool end_of_file = false;
};

// One side of a clone or copy. `opened` as for Read and Write.
struct DataPlace {
  FileId file;
  bool opened = false;
  uint64_t offset = 0;
};

enum class XattrMode : uint8_t {
  kEither,   // made, or its value replaced
  kCreate,   // kExists if there is one of that name
  kReplace,  // kNoData if there is none
};

// `cookie`: give it back to go on after this one; never 0, stable over restarts and changes of
// others. `name` is valid during the visit only. Return false to stop; the one at which it stopped
// counts as not seen.
using XattrVisitor = std::function<bool(uint64_t cookie, std::string_view name)>;

// Called after so many bytes were read from the disk: it may wait, so that others get the disk too.
// False: stop.
using ScrubPace = std::function<bool(uint64_t bytes)>;

// What an engine met since the process began.
struct EngineCounters {
  uint64_t blocks_verified = 0;  // of files, 4 KiB each, by reads and scrubs
  uint64_t damaged = 0;       // blocks and records whose checksum was wrong, each time it was seen
  uint64_t read_errors = 0;   // of the disk
  uint64_t write_errors = 0;  // also of calls that make, cut, rename or remove
  uint64_t sync_errors = 0;
};

struct ScrubCounts {
  uint64_t files = 0;
  uint64_t bytes = 0;       // read and compared
  uint64_t problems = 0;    // lines reported
  uint64_t sums_added = 0;  // blocks that had none

  void Add(const ScrubCounts& other) {
    files += other.files;
    bytes += other.bytes;
    problems += other.problems;
    sums_added += other.sums_added;
  }
};

}  // namespace tarn::vfs
