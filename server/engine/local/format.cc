#include "server/engine/local/format.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "server/engine/local/little.h"

namespace tarn::local {
namespace {

constexpr uint8_t kRecordVersion = 1;

// Flags of an inode.
constexpr uint8_t kHasVerifier = 1;
constexpr uint8_t kHasXattrs = 2;  // their number and bytes follow
constexpr uint8_t kShares = 4;

// Flags of a file system.
constexpr uint8_t kDeleted = 1;
constexpr uint8_t kEncrypted = 2;

std::string Big(std::string key, uint64_t number, int bytes) {
  for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) {
    key.push_back(static_cast<char>(number >> shift));
  }
  return key;
}

class Writer {
 public:
  explicit Writer(size_t bytes) {
    out_.reserve(bytes);
    U8(kRecordVersion);
  }
  void U8(uint8_t value) { out_.push_back(static_cast<char>(value)); }
  void U32(uint32_t value) { PutLittle(out_, value, 4); }
  void U64(uint64_t value) { PutLittle(out_, value, 8); }
  void Time(const vfs::Time& time) {
    U64(static_cast<uint64_t>(time.seconds));
    U32(time.nanoseconds);
  }
  void Bytes(std::string_view bytes) { out_.append(bytes); }
  std::string Take() && { return std::move(out_); }

 private:
  std::string out_;
};

// Reads past the end give zeros and make Finish fail.
class Reader {
 public:
  Reader(std::string_view bytes, const char* what) : rest_(bytes), what_(what) {
    if (U8() != kRecordVersion) ok_ = false;
  }
  uint8_t U8() { return static_cast<uint8_t>(Little(1)); }
  uint32_t U32() { return static_cast<uint32_t>(Little(4)); }
  uint64_t U64() { return Little(8); }
  vfs::Time Time() {
    vfs::Time time;
    time.seconds = static_cast<int64_t>(U64());
    time.nanoseconds = U32();
    Require(time.nanoseconds < 1'000'000'000);
    return time;
  }
  std::string_view Rest() { return std::exchange(rest_, {}); }
  bool More() const { return !rest_.empty(); }
  void Require(bool condition) { ok_ = ok_ && condition; }

  Result<void> Finish() const {
    if (ok_ && rest_.empty()) return Ok();
    return Error(Code::kCorrupt, std::string("the stored ") + what_ +
                                     " cannot be understood; run fsck, or restore from a backup");
  }

 private:
  uint64_t Little(size_t bytes) {
    if (rest_.size() < bytes) {
      ok_ = false;
      rest_ = {};
      return 0;
    }
    uint64_t value = GetLittle(rest_.substr(0, bytes));
    rest_.remove_prefix(bytes);
    return value;
  }

  std::string_view rest_;
  const char* what_;
  bool ok_ = true;
};

bool KnownType(uint8_t type) {
  return type >= static_cast<uint8_t>(vfs::FileType::kRegular) &&
         type <= static_cast<uint8_t>(vfs::FileType::kCharacterDevice);
}

}  // namespace

std::string FormatKey() {
  return "V";
}
std::string CrashesKey() {
  return "C";
}
std::string CleanKey() {
  return "L";
}
std::string NextFileSystemKey() {
  return "N";
}
std::string MetaPrefix(char letter, uint32_t fs) {
  return Big(std::string(1, letter), fs, 4);
}
std::string FileSystemKey(uint32_t fs) {
  return MetaPrefix('F', fs);
}
std::string UnsettledKey(uint32_t fs) {
  return MetaPrefix('B', fs);
}
std::string NextInodeKey(uint32_t fs) {
  return MetaPrefix('I', fs);
}
std::string RealmKey(uint32_t fs, vfs::RealmId realm) {
  return Big(MetaPrefix('R', fs), realm, 8);
}
std::string UsageKey(uint32_t fs, vfs::RealmId realm) {
  return Big(MetaPrefix('U', fs), realm, 8);
}
std::string OrphanKey(uint32_t fs, uint64_t inode) {
  return Big(MetaPrefix('O', fs), inode, 8);
}
std::string TrashKey(uint32_t fs, uint64_t inode) {
  return Big(MetaPrefix('T', fs), inode, 8);
}
std::string FreedKey(uint32_t fs, uint64_t inode) {
  return Big(MetaPrefix('X', fs), inode, 8);
}
std::string MarksKey(uint32_t fs, uint64_t inode, uint64_t index) {
  return Big(Big(MetaPrefix('W', fs), inode, 8), index, 8);
}
std::string RecordKey(std::string_view key) {
  return "K" + std::string(key);
}
std::string FileSystemPrefix(uint32_t fs) {
  return Big({}, fs, 4);
}
std::string InodeKey(uint32_t fs, uint64_t inode) {
  return Big(FileSystemPrefix(fs), inode, 8);
}
std::string NameKey(uint32_t fs, uint64_t directory, uint64_t hash) {
  return Big(InodeKey(fs, directory), hash, 8);
}
std::string ChunkKey(uint32_t fs, uint64_t inode, uint64_t index) {
  return Big(InodeKey(fs, inode), index, 8);
}
std::string SumsKey(uint32_t fs, uint64_t inode, uint64_t index, uint32_t region) {
  return Big(ChunkKey(fs, inode, index), region, 4);
}
std::string JournalKey(uint32_t fs, uint64_t inode, uint64_t index, uint32_t block) {
  return Big(ChunkKey(fs, inode, index), block, 4);
}
Result<PartKey> DecodePartKey(std::string_view key) {
  if (key.size() != 24) return Error(Code::kCorrupt, "a key of a block cannot be understood");
  PartKey decoded{NumberAt(key, 4), NumberAt(key, 12), 0};
  decoded.part = static_cast<uint32_t>(NumberAt(key, 16));
  return decoded;
}

std::string XattrKey(uint32_t fs, uint64_t inode, uint64_t hash) {
  return Big(InodeKey(fs, inode), hash, 8);
}

std::string ShareKey(const std::string& file, uint64_t inode, uint64_t index) {
  return Big(Big(file, inode, 8), index, 8);
}

std::string UnsharedKey(uint32_t fs, uint64_t inode, uint64_t index) {
  return Big(Big(MetaPrefix('S', fs), inode, 8), index, 8);
}

std::string After(std::string prefix) {
  while (!prefix.empty()) {
    auto last = static_cast<uint8_t>(prefix.back());
    if (last != 0xff) {
      prefix.back() = static_cast<char>(last + 1);
      return prefix;
    }
    prefix.pop_back();
  }
  return prefix;
}

uint64_t NumberAt(std::string_view key, size_t offset) {
  if (key.size() < offset + 8) return 0;
  uint64_t number = 0;
  for (size_t i = 0; i < 8; ++i) number = number << 8 | static_cast<uint8_t>(key[offset + i]);
  return number;
}

std::optional<uint32_t> SealedFor(Table table, std::string_view key) {
  if (table == Table::kShares) return {};
  if (table == Table::kMeta) {
    constexpr std::string_view kSealedLetters = "RPW";
    if (key.empty() || kSealedLetters.find(key[0]) == std::string_view::npos) return {};
    key.remove_prefix(1);
  }
  if (key.size() < 4) return {};
  uint32_t fs = 0;
  for (size_t i = 0; i < 4; ++i) fs = fs << 8 | static_cast<uint8_t>(key[i]);
  return fs;
}

std::string Encode(const InodeRecord& record) {
  Writer out(172);
  out.U8(static_cast<uint8_t>(record.type));
  out.U8(static_cast<uint8_t>(record.place));
  bool xattrs = record.xattrs > 0;
  out.U8((record.has_verifier ? kHasVerifier : 0) | (xattrs ? kHasXattrs : 0) |
         (record.shares ? kShares : 0));
  out.U32(record.mode);
  out.U32(record.links);
  out.U32(record.uid);
  out.U32(record.gid);
  out.U64(record.size);
  out.U64(record.space_used);
  out.U64(record.change);
  out.Time(record.access_time);
  out.Time(record.modify_time);
  out.Time(record.change_time);
  out.Time(record.create_time);
  out.U64(record.generation);
  out.U64(record.realm);
  out.U64(record.parent);
  out.U64(record.entries);
  out.U64(vfs::IsDevice(record.type) ? uint64_t{record.device.major} << 32 | record.device.minor
                                     : record.verifier);
  if (xattrs) {
    out.U32(record.xattrs);
    out.U64(record.xattr_bytes);
  }
  return std::move(out).Take();
}

// A device node's number lies where a regular file has the verifier of its exclusive create.
Result<InodeRecord> DecodeInode(std::string_view bytes) {
  Reader in(bytes, "inode");
  InodeRecord record;
  uint8_t type = in.U8();
  in.Require(KnownType(type));
  record.type = static_cast<vfs::FileType>(type);
  uint8_t place = in.U8();
  in.Require(place <= 1);
  record.place = static_cast<Place>(place);
  uint8_t flags = in.U8();
  in.Require(flags <= (kHasVerifier | kHasXattrs | kShares));
  record.shares = (flags & kShares) != 0;
  record.has_verifier = (flags & kHasVerifier) != 0;
  record.mode = in.U32();
  in.Require(record.mode <= 07777);
  record.links = in.U32();
  record.uid = in.U32();
  record.gid = in.U32();
  record.size = in.U64();
  in.Require(record.size <= vfs::kFileBytesMax);
  record.space_used = in.U64();
  in.Require(record.space_used <= vfs::kFileBytesMax + 4096);
  record.change = in.U64();
  record.access_time = in.Time();
  record.modify_time = in.Time();
  record.change_time = in.Time();
  record.create_time = in.Time();
  record.generation = in.U64();
  record.realm = in.U64();
  record.parent = in.U64();
  record.entries = in.U64();
  uint64_t last = in.U64();
  if (vfs::IsDevice(record.type)) {
    record.device = {static_cast<uint32_t>(last >> 32), static_cast<uint32_t>(last)};
  } else {
    record.verifier = last;
  }
  if ((flags & kHasXattrs) != 0) {
    record.xattrs = in.U32();
    record.xattr_bytes = in.U64();
    in.Require(record.xattrs <= vfs::kXattrsMax && record.xattr_bytes <= vfs::kXattrFileBytesMax);
  }
  TRY(in.Finish());
  return record;
}

std::string Encode(const NameRecord& record) {
  Writer out(18 + record.name.size());
  out.U8(static_cast<uint8_t>(record.type));
  out.U64(record.inode);
  out.U64(record.generation);
  out.Bytes(record.name);
  return std::move(out).Take();
}

Result<NameRecord> DecodeName(std::string_view bytes) {
  Reader in(bytes, "directory entry");
  NameRecord record;
  uint8_t type = in.U8();
  in.Require(KnownType(type));
  record.type = static_cast<vfs::FileType>(type);
  record.inode = in.U64();
  record.generation = in.U64();
  record.name = std::string(in.Rest());
  in.Require(record.name.size() <= vfs::kNameBytesMax);
  in.Require(record.inode == 0 || !record.name.empty());
  TRY(in.Finish());
  return record;
}

std::string Encode(const XattrRecord& record) {
  Writer out(2 + record.name.size() + record.value.size());
  out.U8(static_cast<uint8_t>(record.name.size()));
  out.Bytes(record.name);
  out.Bytes(record.value);
  return std::move(out).Take();
}

Result<XattrRecord> DecodeXattr(std::string_view bytes) {
  Reader in(bytes, "extended attribute");
  XattrRecord record;
  size_t name = in.U8();
  std::string_view rest = in.Rest();
  in.Require(name > 0 && rest.size() >= name && rest.size() - name <= vfs::kXattrValueBytesMax);
  record.name = std::string(rest.substr(0, name));
  record.value = std::string(rest.substr(std::min(name, rest.size())));
  TRY(in.Finish());
  return record;
}

std::string Encode(const RealmRecord& record) {
  Writer out(42);
  out.U8(static_cast<uint8_t>(record.state));
  out.U64(record.parent);
  out.U64(record.root);
  out.U64(record.root_generation);
  out.U64(record.quota.bytes_max);
  out.U64(record.quota.files_max);
  return std::move(out).Take();
}

Result<RealmRecord> DecodeRealm(std::string_view bytes) {
  Reader in(bytes, "realm");
  RealmRecord record;
  uint8_t state = in.U8();
  in.Require(state >= static_cast<uint8_t>(RealmState::kLive) &&
             state <= static_cast<uint8_t>(RealmState::kDying));
  record.state = static_cast<RealmState>(state);
  record.parent = in.U64();
  record.root = in.U64();
  record.root_generation = in.U64();
  record.quota.bytes_max = in.U64();
  record.quota.files_max = in.U64();
  TRY(in.Finish());
  return record;
}

std::string Encode(const FileSystemRecord& record) {
  Writer out(2 + kSaltBytes + kKeyCheckBytes);
  out.U8((record.deleted ? kDeleted : 0) | (record.encrypted ? kEncrypted : 0));
  if (record.encrypted) {
    out.Bytes(record.salt);
    out.Bytes(record.key_check);
    return std::move(out).Take();
  }
  out.U64(record.hash_key[0]);
  out.U64(record.hash_key[1]);
  return std::move(out).Take();
}

Result<FileSystemRecord> DecodeFileSystem(std::string_view bytes) {
  Reader in(bytes, "file system");
  FileSystemRecord record;
  uint8_t flags = in.U8();
  in.Require(flags <= (kDeleted | kEncrypted));
  record.deleted = (flags & kDeleted) != 0;
  record.encrypted = (flags & kEncrypted) != 0;
  if (record.encrypted) {
    std::string_view rest = in.Rest();
    in.Require(rest.size() == kSaltBytes + kKeyCheckBytes);
    TRY(in.Finish());
    record.salt = rest.substr(0, kSaltBytes);
    record.key_check = rest.substr(kSaltBytes);
    return record;
  }
  record.hash_key[0] = in.U64();
  record.hash_key[1] = in.U64();
  TRY(in.Finish());
  return record;
}

std::string Encode(const ReplayRecord& record) {
  Writer out(65);
  out.U64(record.sequence);
  for (const vfs::DirectoryChange& change : {record.source, record.target}) {
    out.U64(change.before);
    out.U64(change.after);
  }
  out.U64(record.made.inode);
  out.U64(record.made.generation);
  if (record.copied > 0) out.U64(record.copied);
  return std::move(out).Take();
}

Result<ReplayRecord> DecodeReplay(std::string_view bytes) {
  Reader in(bytes, "replay record");
  ReplayRecord record;
  record.sequence = in.U64();
  for (vfs::DirectoryChange* change : {&record.source, &record.target}) {
    change->before = in.U64();
    change->after = in.U64();
  }
  record.made.inode = in.U64();
  record.made.generation = in.U64();
  if (in.More()) record.copied = in.U64();
  TRY(in.Finish());
  return record;
}

std::string Encode(const UsageDelta& delta) {
  Writer out(17);
  out.U64(static_cast<uint64_t>(delta.bytes));
  out.U64(static_cast<uint64_t>(delta.files));
  return std::move(out).Take();
}

// More than any disk holds; so sums of these do not overflow.
constexpr int64_t kUsageMax = int64_t{1} << 60;

Result<UsageDelta> DecodeUsage(std::string_view bytes) {
  Reader in(bytes, "usage");
  UsageDelta delta;
  delta.bytes = static_cast<int64_t>(in.U64());
  delta.files = static_cast<int64_t>(in.U64());
  for (int64_t sum : {delta.bytes, delta.files}) in.Require(-kUsageMax <= sum && sum <= kUsageMax);
  TRY(in.Finish());
  return delta;
}

std::string EncodeNumber(uint64_t number) {
  Writer out(9);
  out.U64(number);
  return std::move(out).Take();
}

Result<uint64_t> DecodeNumber(std::string_view bytes) {
  Reader in(bytes, "counter");
  uint64_t number = in.U64();
  TRY(in.Finish());
  return number;
}

uint64_t HashName(const uint64_t key[2], std::string_view name) {
  uint64_t v0 = key[0] ^ 0x736f6d6570736575;
  uint64_t v1 = key[1] ^ 0x646f72616e646f6d;
  uint64_t v2 = key[0] ^ 0x6c7967656e657261;
  uint64_t v3 = key[1] ^ 0x7465646279746573;
  auto round = [&] {
    v0 += v1, v1 = std::rotl(v1, 13) ^ v0, v0 = std::rotl(v0, 32);
    v2 += v3, v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3, v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1, v1 = std::rotl(v1, 17) ^ v2, v2 = std::rotl(v2, 32);
  };
  auto absorb = [&](uint64_t word) {
    v3 ^= word;
    round(), round();
    v0 ^= word;
  };
  size_t at = 0;
  for (; at + 8 <= name.size(); at += 8) {
    uint64_t word;
    std::memcpy(&word, name.data() + at, 8);
    if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap64(word);
    absorb(word);
  }
  absorb(static_cast<uint64_t>(name.size()) << 56 | GetLittle(name.substr(at)));
  v2 ^= 0xff;
  round(), round(), round(), round();
  return v0 ^ v1 ^ v2 ^ v3;
}

}  // namespace tarn::local
