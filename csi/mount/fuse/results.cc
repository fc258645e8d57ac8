#include <arpa/inet.h>
#include <grp.h>
#include <pwd.h>
#include <sys/sysmacros.h>

#include <charconv>

#include "csi/mount/fuse/compound.h"

namespace tarn::fuse {

namespace {

constexpr uint32_t kNobody = 65534;
constexpr size_t kNameBytesMax = 1024;
constexpr size_t kReadBytesMax = 16U << 20;

mode_t TypeBits(uint32_t type) {
  switch (type) {
    case NF4DIR:
      return S_IFDIR;
    case NF4BLK:
      return S_IFBLK;
    case NF4CHR:
      return S_IFCHR;
    case NF4LNK:
      return S_IFLNK;
    case NF4SOCK:
      return S_IFSOCK;
    case NF4FIFO:
      return S_IFIFO;
    default:
      return S_IFREG;
  }
}

// Owners are numbers as text (RFC 7530 section 5.9); "name@domain" is looked up on this machine.
template <typename Lookup>
uint32_t IdOf(std::string_view text, Lookup lookup) {
  uint32_t id = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error == std::errc() && end == text.data() + text.size()) return id;
  return lookup(std::string(text.substr(0, text.find('@'))));
}

uint32_t UserNamed(const std::string& name) {
  passwd entry{};
  passwd* found = nullptr;
  char room[2048];
  getpwnam_r(name.c_str(), &entry, room, sizeof(room), &found);
  return found == nullptr ? kNobody : found->pw_uid;
}

uint32_t GroupNamed(const std::string& name) {
  group entry{};
  group* found = nullptr;
  char room[4096];
  getgrnam_r(name.c_str(), &entry, room, sizeof(room), &found);
  return found == nullptr ? kNobody : found->gr_gid;
}

std::string_view View(std::span<const char> bytes) {
  return {bytes.data(), bytes.size()};
}

}  // namespace

Results::Results(std::unique_ptr<char[]> record, std::span<const char> body)
    : record_(std::move(record)), at_(body.data()), end_(body.data() + body.size()) {
  status_ = NFS4_OK;
  uint32_t whole = U32();
  Opaque(kNameBytesMax);  // tag
  left_ = U32();
  if (status_ != NFS4_OK || whole >= kStatusMax) {
    Break();
    return;
  }
  whole_ = static_cast<Status>(whole);
  if (left_ == 0) status_ = whole == NFS4_OK ? kMalformed : whole_;
}

void Results::Break() {
  status_ = kMalformed;
  at_ = end_;
}

uint32_t Results::U32() {
  if (end_ - at_ < 4) return Break(), 0;
  uint32_t value = 0;
  std::memcpy(&value, at_, 4);
  at_ += 4;
  return ntohl(value);
}

uint64_t Results::U64() {
  uint64_t high = U32();
  return high << 32 | U32();
}

std::span<const char> Results::Opaque(size_t max) {
  size_t size = U32();
  size_t padded = (size + 3) & ~size_t{3};
  if (size > max || padded > static_cast<size_t>(end_ - at_))
    return Break(), std::span<const char>();
  std::span<const char> value(at_, size);
  at_ += padded;
  return value;
}

template <size_t N>
std::array<char, N> Results::Fixed() {
  std::array<char, N> value = {};
  if (static_cast<size_t>(end_ - at_) < N) return Break(), value;
  std::memcpy(value.data(), at_, N);
  at_ += N;
  return value;
}

bool Results::Begin(nfs_opnum4 op) {
  if (status_ != NFS4_OK) return false;
  if (left_ == 0) return Break(), false;
  --left_;
  uint32_t number = U32();
  uint32_t status = U32();
  if (status_ != NFS4_OK) return false;
  if (number != static_cast<uint32_t>(op) || status >= kStatusMax) return Break(), false;
  reached_ |= uint64_t{1} << op;
  status_ = static_cast<Status>(status);
  return status_ == NFS4_OK;
}

bool Results::Op(nfs_opnum4 op) {
  return Begin(op);
}

FileHandle Results::GetFh() {
  if (!Begin(OP_GETFH)) return {};
  auto bytes = Opaque(FileHandle::kBytesMax);
  return {bytes.data(), bytes.size()};
}

void Results::Bitmap(uint32_t words[3]) {
  uint32_t count = U32();
  if (count > static_cast<size_t>(end_ - at_) / 4) return Break();
  for (uint32_t i = 0; i < count; ++i) {
    uint32_t word = U32();
    if (i < 3) {
      words[i] = word;
    } else if (word != 0) {
      return Break();
    }
  }
}

Attributes Results::ReadAttributes() {
  Attributes a;
  uint32_t words[3] = {};
  Bitmap(words);
  U32();  // length of the values
  auto time = [this] {
    auto seconds = static_cast<time_t>(U64());
    return timespec{seconds, static_cast<long>(U32())};
  };
  struct stat& st = a.stat;
  st.st_nlink = 1;
  for (uint32_t bit = 0; bit < 96 && status_ == NFS4_OK; ++bit) {
    if ((words[bit / 32] >> (bit % 32) & 1) == 0) continue;
    switch (bit) {
      case FATTR4_TYPE:
        st.st_mode |= TypeBits(U32());
        break;
      case FATTR4_CHANGE:
        a.change = U64();
        break;
      case FATTR4_SIZE:
        st.st_size = static_cast<off_t>(U64());
        break;
      case FATTR4_RDATTR_ERROR:
        a.error = static_cast<Status>(U32() % kStatusMax);
        break;
      case FATTR4_FILEHANDLE: {
        auto bytes = Opaque(FileHandle::kBytesMax);
        a.handle = FileHandle(bytes.data(), bytes.size());
        break;
      }
      case FATTR4_FILEID:
        st.st_ino = U64();
        break;
      case FATTR4_MODE:
        st.st_mode |= U32() & 07777;
        break;
      case FATTR4_NUMLINKS:
        st.st_nlink = U32();
        break;
      case FATTR4_OWNER:
        st.st_uid = IdOf(View(Opaque(kNameBytesMax)), UserNamed);
        break;
      case FATTR4_OWNER_GROUP:
        st.st_gid = IdOf(View(Opaque(kNameBytesMax)), GroupNamed);
        break;
      case FATTR4_RAWDEV: {
        uint32_t high = U32();
        st.st_rdev = makedev(high, U32());
        break;
      }
      case FATTR4_SPACE_USED:
        st.st_blocks = static_cast<blkcnt_t>((U64() + 511) / 512);
        break;
      case FATTR4_TIME_ACCESS:
        st.st_atim = time();
        break;
      case FATTR4_TIME_METADATA:
        st.st_ctim = time();
        break;
      case FATTR4_TIME_MODIFY:
        st.st_mtim = time();
        break;
      default:
        Break();  // never asked for
    }
  }
  return a;
}

Attributes Results::GetAttr() {
  return Begin(OP_GETATTR) ? ReadAttributes() : Attributes();
}

ServerInfo Results::GetServerInfo() {
  ServerInfo info;
  if (!Begin(OP_GETATTR)) return info;
  uint32_t words[3] = {};
  Bitmap(words);
  U32();
  if ((words[0] >> FATTR4_LEASE_TIME & 1) != 0) info.lease_seconds = U32();
  if ((words[0] >> FATTR4_MAXREAD & 1) != 0) info.read_bytes_max = U64();
  if ((words[0] >> FATTR4_MAXWRITE & 1) != 0) info.write_bytes_max = U64();
  return info;
}

struct statvfs Results::GetSpace() {
  struct statvfs space = {};
  space.f_bsize = 4096;
  space.f_frsize = 4096;
  space.f_namemax = 255;
  if (!Begin(OP_GETATTR)) return space;
  uint32_t words[3] = {};
  Bitmap(words);
  U32();
  for (uint32_t bit = 0; bit < 96 && status_ == NFS4_OK; ++bit) {
    if ((words[bit / 32] >> (bit % 32) & 1) == 0) continue;
    uint64_t value = U64();
    switch (bit) {
      case FATTR4_FILES_AVAIL:
        space.f_favail = value;
        break;
      case FATTR4_FILES_FREE:
        space.f_ffree = value;
        break;
      case FATTR4_FILES_TOTAL:
        space.f_files = value;
        break;
      case FATTR4_SPACE_AVAIL:
        space.f_bavail = value / space.f_frsize;
        break;
      case FATTR4_SPACE_FREE:
        space.f_bfree = value / space.f_frsize;
        break;
      case FATTR4_SPACE_TOTAL:
        space.f_blocks = value / space.f_frsize;
        break;
      default:
        Break();
    }
  }
  return space;
}

uint32_t Results::Access() {
  if (!Begin(OP_ACCESS)) return 0;
  U32();  // supported
  return U32();
}

std::span<const char> Results::Read(bool& eof) {
  if (!Begin(OP_READ)) return {};
  eof = Bool();
  return Opaque(kReadBytesMax);
}

Results::Written Results::Write() {
  Written written;
  if (!Begin(OP_WRITE)) return written;
  written.count = U32();
  written.committed = static_cast<stable_how4>(U32() % 4);
  written.verifier = Fixed<8>();
  return written;
}

Verifier Results::Commit() {
  return Begin(OP_COMMIT) ? Fixed<8>() : Verifier{};
}

void Results::ChangeInfo() {
  U32();
  U64();
  U64();
}

void Results::SetAttr() {
  // Its bitmap is there even when the operation failed, but nothing follows it then.
  if (!Begin(OP_SETATTR)) return;
  uint32_t words[3] = {};
  Bitmap(words);
}

void Results::Create() {
  if (!Begin(OP_CREATE)) return;
  ChangeInfo();
  uint32_t words[3] = {};
  Bitmap(words);
}

void Results::Remove() {
  if (Begin(OP_REMOVE)) ChangeInfo();
}

void Results::Rename() {
  if (!Begin(OP_RENAME)) return;
  ChangeInfo();
  ChangeInfo();
}

void Results::Link() {
  if (Begin(OP_LINK)) ChangeInfo();
}

std::string Results::ReadLink() {
  if (!Begin(OP_READLINK)) return {};
  return std::string(View(Opaque(64U << 10)));
}

Verifier Results::ReadDir(std::vector<DirectoryEntry>& entries, bool& eof) {
  if (!Begin(OP_READDIR)) return {};
  Verifier verifier = Fixed<8>();
  while (Bool() && status_ == NFS4_OK) {
    DirectoryEntry& entry = entries.emplace_back();
    entry.cookie = U64();
    entry.name = View(Opaque(kNameBytesMax));
    entry.attributes = ReadAttributes();
  }
  eof = Bool();
  return verifier;
}

StateId Results::ReadState() {
  StateId state;
  state.seqid = U32();
  state.other = Fixed<12>();
  return state;
}

void Results::SkipDelegation() {
  // We offer no callback, so a server gives no delegation; one that does breaks the protocol.
  if (U32() != OPEN_DELEGATE_NONE) Break();
}

Results::Opened Results::Open() {
  Opened opened;
  if (!Begin(OP_OPEN)) return opened;
  opened.state = ReadState();
  ChangeInfo();
  opened.confirm = (U32() & OPEN4_RESULT_CONFIRM) != 0;
  uint32_t words[3] = {};
  Bitmap(words);
  SkipDelegation();
  return opened;
}

StateId Results::State(nfs_opnum4 op) {
  return Begin(op) ? ReadState() : StateId{};
}

void Results::ReadConflict(LockConflict& conflict) {
  Status status = status_;
  if (status != NFS4ERR_DENIED) return;
  status_ = NFS4_OK;
  conflict.offset = U64();
  conflict.length = U64();
  conflict.write = U32() % 2 == 0;  // WRITE_LT, WRITEW_LT
  U64();
  Opaque(kNameBytesMax);
  if (status_ == NFS4_OK) status_ = status;
}

StateId Results::Lock(LockConflict& conflict) {
  if (Begin(OP_LOCK)) return ReadState();
  ReadConflict(conflict);
  return {};
}

void Results::LockTest(LockConflict& conflict) {
  if (!Begin(OP_LOCKT)) ReadConflict(conflict);
}

Results::ClientId Results::SetClientId() {
  ClientId id;
  if (!Begin(OP_SETCLIENTID)) return id;
  id.client = U64();
  id.confirm = Fixed<8>();
  return id;
}

}  // namespace tarn::fuse
