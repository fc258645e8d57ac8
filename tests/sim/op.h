// One thing that a simulated client asks for: what it is, the compound that asks, and the answer
// taken apart.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/nfs/client/client.h"

namespace tarn::sim {

using nfs4::nfsstat4;
using nfs4::stateid4;
using nfs_client::Bytes;
using nfs_client::Compound;
using nfs_client::Fh;

// Data is written in units, whose size is no multiple of a block, page, or chunk.
inline constexpr uint64_t kUnitBytes = 1000;
inline constexpr uint32_t kMinors = 3;

enum class Kind {
  // names and attributes
  kLookup,
  kGetattr,
  kReaddir,
  kReadlink,
  kMkdir,
  kSymlink,
  kRemove,
  kRename,
  kLink,
  kSetMode,
  kSetSize,
  // data
  kRead,
  kWrite,
  kCommit,
  // state
  kOpen,
  kOpenConfirm,
  kDowngrade,
  kClose,
  kLock,
  kLockTest,
  kUnlock,
  // who the client is
  kRenew,
  kExchangeId,
  kCreateSession,
  kReclaimComplete,
  kSetClientId,
  kConfirmClientId,
};

struct Op {
  Kind kind{};
  Fh file;           // the current file: for names, the directory
  std::string name;  // in it; of kSymlink's target, `text`
  Fh target;         // kRename, kLink: the directory of new_name
  std::string new_name;
  std::string text;
  uint32_t mode = 0;
  uint64_t size = 0;    // kSetSize and the truncating kOpen, in units
  uint64_t offset = 0;  // in units; locks: bytes
  uint64_t count = 0;   // in units; locks: bytes
  uint32_t fill = 0;    // kWrite: which bytes
  nfs4::stable_how4 stable{};
  uint64_t cookie = 0;  // kReaddir
  uint32_t bytes_max = 0;

  stateid4 state{};    // of an open, a lock, or anonymous
  uint32_t owner = 0;  // the process: its open owner and its lock owner
  uint32_t access = nfs4::OPEN4_SHARE_ACCESS_BOTH;
  uint32_t deny = 0;
  std::optional<nfs4::createmode4> create;
  bool truncate = false;  // with UNCHECKED4 or GUARDED4: size 0
  uint64_t verifier = 0;  // EXCLUSIVE4(_1); the client's boot for kExchangeId and kSetClientId
  bool reclaim = false;
  bool write_lock = false;
  bool new_lock_owner = false;
  stateid4 lock_state{};
  uint32_t seqid = 0;       // 4.0: of the open owner, or of the lock owner where there is one
  uint32_t lock_seqid = 0;  // 4.0, new_lock_owner
  uint64_t client_id = 0;
  uint32_t session_sequence = 0;
  nfs4::verifier4 confirm{};
  std::string client_owner;
};

struct Entry {
  uint64_t cookie = 0;
  std::string name;
  uint64_t fileid = 0;
};

struct Answer {
  nfsstat4 status = nfs_client::kNoAnswer;
  nfsstat4 sequence = nfs4::NFS4_OK;  // of SEQUENCE; the rest is there only if it is NFS4_OK
  size_t results = 0;                 // of operations, the failed one too
  uint32_t flags = 0;                 // SEQ4_STATUS_*
  Fh fh;
  std::optional<nfs_client::Attributes> attributes;
  stateid4 state{};
  uint32_t rflags = 0;
  std::vector<Entry> entries;
  bool end = false;
  Bytes data;
  std::string text;
  uint32_t count = 0;
  nfs4::stable_how4 committed{};
  nfs4::verifier4 verifier{};
  uint64_t client_id = 0;
  uint32_t session_sequence = 0;
  bool confirmed = false;
  nfs4::sessionid4 session{};
};

// Is it asked in a session's slot, in 4.1?
bool InSession(Kind kind);
// Does the engine keep it under the request's name (vfs::ReplayTag)?
bool IsTagged(Kind kind);
// Does asking again do no harm and get a fresh answer?
bool IsRead(Kind kind);

// COMPOUND4args; `sequence` is null in 4.0 and outside of a session.
std::vector<std::byte> Encode(const Op& op, uint32_t minor, const nfs4::SEQUENCE4args* sequence);
Answer Parse(const std::vector<std::byte>& reply, bool with_sequence);

// The bytes of a unit.
std::string Fill(uint32_t fill);
std::string Describe(const Op& op, const std::function<std::string(const Fh&)>& name_of);
std::string StatusName(nfsstat4 status);

}  // namespace tarn::sim
