// File handles (nfs_fh4): which export, which file, and a keyed checksum over both.
//
// A handle is 40 bytes: layout version 1, 3 zero bytes, file system (4), export (8), inode (8),
// generation (8), SipHash-2-4 of all that (8); integers little-endian. It names a file for as long
// as the file exists, over restarts (FH4_PERSISTENT), because the key is a durable record. A handle
// that this server did not make fails the checksum, so that a client inside an access point cannot
// make one that leads out. Threads: immutable after construction.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "server/vfs/types.h"
#include "server/xdr/codec.h"

namespace tarn::nfs4 {

struct HandleFields {
  uint32_t file_system = 0;
  uint64_t export_number = 0;
  vfs::FileId file;
  bool operator==(const HandleFields&) const = default;
};

using HandleKey = std::array<std::byte, 16>;
using HandleBytes = std::array<std::byte, 40>;

class HandleCodec {
 public:
  explicit HandleCodec(const HandleKey& key);
  HandleBytes Seal(const HandleFields& fields) const;
  // Nothing for bytes that Seal did not make with this key (NFS4ERR_BADHANDLE).
  std::optional<HandleFields> Open(xdr::Opaque bytes) const;

 private:
  uint64_t Checksum(xdr::Opaque bytes) const;
  uint64_t key0_ = 0;
  uint64_t key1_ = 0;
};

}  // namespace tarn::nfs4
