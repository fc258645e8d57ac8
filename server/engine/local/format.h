// What is stored under which key: docs/engine-format.md in code.
//
// Keys are big-endian so that they sort as numbers; values are little-endian with a version first.
// Decoders check bounds and ranges: kCorrupt names the record. Pure functions; threads: any.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/result.h"
#include "server/vfs/types.h"

namespace tarn::local {

// 2: extended attributes. 3: chunk files that are shared.
// 4: checksums, and the journal of small writes. Older data has no sums.
// 5: encrypted file systems.
inline constexpr uint32_t kFormatVersion = 5;
inline constexpr uint64_t kRootInode = 1;

// Column families of the database. The default one is kMeta.
enum class Table : uint8_t {
  kMeta = 0,
  kInodes,
  kNames,
  kInline,
  kChunks,
  kXattrs,
  kShares,
  kSums,
  kJournal,
};
inline constexpr size_t kTables = 9;

// --- keys ---
// kMeta: one letter, then the rest.
std::string FormatKey();                                // "V"
std::string CleanKey();                                 // "L": closed in order last time
std::string CrashesKey();                               // "C": starts that followed a crash
std::string NextFileSystemKey();                        // "N"
std::string FileSystemKey(uint32_t fs);                 // "F" fs
std::string UnsettledKey(uint32_t fs);                  // "B" fs
std::string NextInodeKey(uint32_t fs);                  // "I" fs
std::string RealmKey(uint32_t fs, vfs::RealmId realm);  // "R" fs realm
std::string UsageKey(uint32_t fs, vfs::RealmId realm);  // "U" fs realm
std::string OrphanKey(uint32_t fs, uint64_t inode);     // "O" fs inode
std::string TrashKey(uint32_t fs, uint64_t inode);      // "T" fs inode
std::string FreedKey(uint32_t fs, uint64_t inode);      // "X" fs inode
// "S" fs inode index: a chunk file of these numbers that may have lost a user.
std::string UnsharedKey(uint32_t fs, uint64_t inode, uint64_t index);
std::string RecordKey(std::string_view key);                        // "K" key
std::string MarksKey(uint32_t fs, uint64_t inode, uint64_t index);  // "W" fs inode index
// A prefix of the keys above: one letter and a file system.
std::string MetaPrefix(char letter, uint32_t fs);
// kInodes, kInline: fs inode. kNames: fs directory hash. kChunks: fs inode index. kXattrs: fs inode
// hash. kShares: fs, inode and index in a chunk file's name, inode and index of the chunk that uses
// it.
std::string InodeKey(uint32_t fs, uint64_t inode);
std::string NameKey(uint32_t fs, uint64_t directory, uint64_t hash);
std::string ChunkKey(uint32_t fs, uint64_t inode, uint64_t index);
std::string XattrKey(uint32_t fs, uint64_t inode, uint64_t hash);
std::string ShareKey(const std::string& file, uint64_t inode, uint64_t index);  // ChunkKey
// kSums: fs inode index region. kJournal: fs inode index block.
std::string SumsKey(uint32_t fs, uint64_t inode, uint64_t index, uint32_t region);
std::string JournalKey(uint32_t fs, uint64_t inode, uint64_t index, uint32_t block);
struct PartKey {
  uint64_t inode = 0;
  uint64_t index = 0;
  uint32_t part = 0;  // region or block
};
// Of those two; kCorrupt: the length is wrong.
Result<PartKey> DecodePartKey(std::string_view key);
std::string FileSystemPrefix(uint32_t fs);
// The first key after all those that begin with `prefix`; empty: no such key.
std::string After(std::string prefix);
// The big-endian number at `offset` of a key; 0 when the key is too short.
uint64_t NumberAt(std::string_view key, size_t offset);
// The file system whose contents a row's value is part of, so that it is sealed when that is
// encrypted. Nothing: the row is plain for all, since it tells counts and numbers only, or what is
// read while file systems are locked.
std::optional<uint32_t> SealedFor(Table table, std::string_view key);

// --- values ---
enum class Place : uint8_t { kInline = 0, kChunks = 1 };

struct InodeRecord {
  vfs::FileType type = vfs::FileType::kRegular;
  Place place = Place::kInline;
  uint32_t mode = 0;
  uint32_t links = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint64_t size = 0;
  uint64_t space_used = 0;
  uint64_t change = 0;
  vfs::Time access_time;
  vfs::Time modify_time;
  vfs::Time change_time;
  vfs::Time create_time;
  uint64_t generation = 0;
  vfs::RealmId realm = vfs::kRootRealm;
  uint64_t parent = 0;    // of a directory; 0: the root, or in trash
  uint64_t entries = 0;   // of a directory
  uint64_t verifier = 0;  // of an exclusive create
  bool has_verifier = false;
  bool shares = false;       // since a chunk of it took part in a clone
  vfs::DeviceNumber device;  // of a device node
  uint32_t xattrs = 0;       // extended attributes: their number
  uint64_t xattr_bytes = 0;  // of their names and values

  // What usage counts. space_used is of data alone.
  uint64_t Footprint() const { return space_used + xattr_bytes; }
};

struct NameRecord {
  uint64_t inode = 0;  // 0: a removed name that keeps a chain of collisions together
  uint64_t generation = 0;
  vfs::FileType type = vfs::FileType::kRegular;
  std::string name;
};

struct XattrRecord {
  std::string name;
  std::string value;
};

enum class RealmState : uint8_t {
  kLive = 1,
  kEntering,   // EnsureRealm is moving a tree into it
  kLeaving,    // RemoveRealm is moving its files into the realm around it
  kForgotten,  // no longer named; files that are open or linked elsewhere still count in it
  kDying,      // its files are being deleted
};

struct RealmRecord {
  RealmState state = RealmState::kLive;
  vfs::RealmId parent = 0;  // 0: the root realm
  uint64_t root = 0;        // inode
  uint64_t root_generation = 0;
  vfs::Quota quota;
};

inline constexpr size_t kSaltBytes = 32;
inline constexpr size_t kKeyCheckBytes = 32;

struct FileSystemRecord {
  bool deleted = false;
  bool encrypted = false;
  uint64_t hash_key[2] = {};  // of the names' hash. An encrypted one's derives from its key
  // Of an encrypted one, see file_system_keys.h.
  std::string salt;
  std::string key_check;
};

// The last change of a client's slot, see vfs::ReplayTag. Key: "P" fs slot.
struct ReplayRecord {
  uint64_t sequence = 0;
  vfs::DirectoryChange source;
  vfs::DirectoryChange target;
  vfs::FileId made;     // by a Create
  uint64_t copied = 0;  // by a Copy
};

std::string Encode(const InodeRecord& record);
std::string Encode(const NameRecord& record);
std::string Encode(const XattrRecord& record);
std::string Encode(const RealmRecord& record);
std::string Encode(const FileSystemRecord& record);
Result<InodeRecord> DecodeInode(std::string_view bytes);
Result<NameRecord> DecodeName(std::string_view bytes);
Result<XattrRecord> DecodeXattr(std::string_view bytes);
Result<RealmRecord> DecodeRealm(std::string_view bytes);
Result<FileSystemRecord> DecodeFileSystem(std::string_view bytes);
std::string Encode(const ReplayRecord& record);
Result<ReplayRecord> DecodeReplay(std::string_view bytes);

// A change of usage, and the sum of all changes: bytes, then files.
struct UsageDelta {
  int64_t bytes = 0;
  int64_t files = 0;
};
std::string Encode(const UsageDelta& delta);
Result<UsageDelta> DecodeUsage(std::string_view bytes);

std::string EncodeNumber(uint64_t number);
Result<uint64_t> DecodeNumber(std::string_view bytes);

// SipHash-2-4 (Aumasson, Bernstein 2012) of a name: keyed, so that nobody can choose names that
// collide.
uint64_t HashName(const uint64_t key[2], std::string_view name);

}  // namespace tarn::local
