// NFS 4.0 values as this client uses them (RFC 7530): handles, credentials, attributes.
//
// Statuses are libnfs's `nfsstat4`, and three of our own for calls that brought no usable reply.
#pragma once

#include <nfsc/libnfs-raw-nfs4.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace tarn::fuse {

using Status = nfsstat4;
inline constexpr Status kMalformed = static_cast<Status>(16000);    // the reply breaks the protocol
inline constexpr Status kInterrupted = static_cast<Status>(16001);  // who waited for it was killed
inline constexpr Status kStopped = static_cast<Status>(16002);      // the file system is unmounted
inline constexpr uint32_t kStatusMax = 16000;                       // past it, a reply is malformed

using Verifier = std::array<char, 8>;

// An NFS file handle (at most 128 bytes, RFC 7530 section 4.2.1). A value; hashable.
class FileHandle {
 public:
  static constexpr size_t kBytesMax = NFS4_FHSIZE;
  FileHandle() = default;
  FileHandle(const char* bytes, size_t size) : bytes_(bytes, size) {}
  const char* data() const { return bytes_.data(); }
  size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }
  std::string_view view() const { return bytes_; }
  bool operator==(const FileHandle&) const = default;

 private:
  std::string bytes_;
};

// Who a request is from: AUTH_SYS (RFC 5531 appendix A), at most 16 supplementary groups.
struct Credential {
  static constexpr size_t kGroupsMax = 16;
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::vector<uint32_t> groups;
  bool operator==(const Credential&) const = default;
};

// What GETATTR tells about one object. `stat.st_ino` is the fileid.
struct Attributes {
  struct stat stat = {};
  uint64_t change = 0;
  FileHandle handle;       // only from READDIR
  Status error = NFS4_OK;  // rdattr_error, only from READDIR
};

// Limits and lease of a server, and its space, which an access point's quota bounds.
struct ServerInfo {
  uint64_t read_bytes_max = 1U << 20;
  uint64_t write_bytes_max = 1U << 20;
  uint32_t lease_seconds = 30;
};

// A change of attributes; only what is set is sent.
struct AttributeChange {
  static constexpr uint32_t kMode = 1, kUid = 2, kGid = 4, kSize = 8, kAtime = 16, kMtime = 32,
                            kAtimeNow = 64, kMtimeNow = 128;
  uint32_t set = 0;
  uint32_t mode = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint64_t size = 0;
  timespec atime = {};
  timespec mtime = {};
};

struct StateId {
  uint32_t seqid = 0;
  std::array<char, 12> other = {};  // all zero: the anonymous stateid (RFC 7530 section 9.1.4.3)
};

// The errno that a caller of the file system sees.
int ErrnoOf(Status status);
const char* StatusName(Status status);

}  // namespace tarn::fuse

template <>
struct std::hash<tarn::fuse::FileHandle> {
  size_t operator()(const tarn::fuse::FileHandle& handle) const {
    return std::hash<std::string_view>()(handle.view());
  }
};
