// Compound: one NFS 4.0 COMPOUND request (RFC 7530 section 16.2), encoded by libnfs's XDR code;
// Results: its reply, decoded here.
//
// libnfs gives a COMPOUND a fixed buffer of 4 KiB, and its decoder trusts the lengths that a server
// sends. So bulk data of a WRITE is referenced, not encoded, and replies are read within bounds.
#pragma once

#include <sys/uio.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "csi/mount/fuse/protocol.h"

namespace tarn::fuse {

// Who opens: client id and a number that names the open owner or lock owner.
struct Owner {
  uint64_t client = 0;
  uint64_t number = 0;
};

enum class CreateHow { kNone, kUnchecked, kGuarded, kExclusive };

struct OpenRequest {
  uint32_t seqid = 0;
  uint32_t access = OPEN4_SHARE_ACCESS_READ;
  Owner owner;
  CreateHow how = CreateHow::kNone;
  AttributeChange attributes;  // of a created file; kUnchecked and kGuarded
  Verifier verifier = {};      // kExclusive
  bool reclaim = false;        // CLAIM_PREVIOUS of the current file handle; else `name` in it
  std::string_view name;
};

struct LockRequest {
  bool write = false;
  bool reclaim = false;
  uint64_t offset = 0;
  uint64_t length = 0;  // UINT64_MAX: to the end
  bool first = false;   // the lock owner's first for this file: by its open
  uint32_t open_seqid = 0;
  StateId open;
  uint32_t lock_seqid = 0;
  StateId lock;  // not first
  Owner owner;
};

class Compound {
 public:
  Compound();
  Compound& PutFh(const FileHandle& handle);
  Compound& PutRootFh() { return Plain(OP_PUTROOTFH); }
  Compound& SaveFh() { return Plain(OP_SAVEFH); }
  Compound& RestoreFh() { return Plain(OP_RESTOREFH); }
  Compound& GetFh() { return Plain(OP_GETFH); }
  Compound& ReadLink() { return Plain(OP_READLINK); }
  Compound& Lookup(std::string_view name);
  Compound& GetAttr();        // everything that Results::GetAttr returns
  Compound& GetServerInfo();  // lease and limits
  Compound& GetSpace();
  Compound& Access(uint32_t bits);
  Compound& Read(uint64_t offset, uint32_t bytes);
  // At most one per compound; `data` must live until the call has ended.
  Compound& Write(uint64_t offset, stable_how4 stable, std::span<const char> data);
  Compound& Commit();
  Compound& SetAttr(const AttributeChange& change);
  // Every type but regular files; `target` of a symbolic link, `rdev` of a device.
  Compound& Create(nfs_ftype4 type, std::string_view name, std::string_view target, dev_t rdev,
                   const AttributeChange& attributes);
  Compound& Remove(std::string_view name);
  Compound& Rename(std::string_view from, std::string_view to);
  Compound& Link(std::string_view name);
  // Names, types and, with `plus`, handles and attributes.
  Compound& ReadDir(uint64_t cookie, const Verifier& verifier, uint32_t bytes, bool plus);
  Compound& Open(const OpenRequest& request);
  Compound& OpenConfirm(const StateId& open, uint32_t seqid);
  Compound& Close(const StateId& open, uint32_t seqid);
  Compound& Lock(const LockRequest& request);
  Compound& LockTest(bool write, uint64_t offset, uint64_t length, const Owner& owner);
  Compound& Unlock(const StateId& lock, uint32_t seqid, uint64_t offset, uint64_t length);
  Compound& ReleaseLockOwner(const Owner& owner);
  Compound& SetClientId(std::string_view id, const Verifier& verifier);
  Compound& SetClientIdConfirm(uint64_t client, const Verifier& confirm);
  Compound& Renew(uint64_t client);

  // Appends the encoded request (tag, minor version, operations). Valid while this lives unchanged.
  void Gather(std::vector<iovec>& out) const;
  size_t size() const { return used_ + bulk_.size() + Padding(); }

 private:
  Compound& Plain(nfs_opnum4 op);
  Compound& Append(nfs_argop4& op, size_t room);
  size_t Padding() const { return (4 - bulk_.size() % 4) % 4; }

  std::vector<char> bytes_;
  size_t used_ = 0;
  uint32_t operations_ = 0;
  std::span<const char> bulk_;
  size_t bulk_at_ = 0;
};

// One entry of a directory.
struct DirectoryEntry {
  uint64_t cookie = 0;
  std::string name;
  Attributes attributes;
};

struct LockConflict {
  bool write = false;
  uint64_t offset = 0;
  uint64_t length = 0;
};

// Reads results in the order of the operations. The first failure sticks: later reads give empty
// values, so a caller reads everything that it asked for and then looks at status() once.
class Results {
 public:
  explicit Results(Status status) : status_(status), whole_(status) {}  // no reply came
  // `body` starts at the COMPOUND's status.
  Results(std::unique_ptr<char[]> record, std::span<const char> body);

  Status status() const { return status_; }
  bool ok() const { return status_ == NFS4_OK; }
  // The status of the whole compound, before anything is read.
  Status Peek() const { return whole_; }
  // Did more than the first operation and the one that set the current file run?
  bool several() const { return left_ > 2; }
  // Did the server get as far as `op`? (It stops at the first operation that fails.) For seqids,
  // which only operations that were reached move on. Call it after reading.
  bool Reached(nfs_opnum4 op) const { return (reached_ >> op & 1) != 0; }
  // Was the request sent more than once, so that the server may have executed it twice?
  bool retransmitted = false;

  bool Op(nfs_opnum4 op);  // an operation without a result of its own
  FileHandle GetFh();
  Attributes GetAttr();
  ServerInfo GetServerInfo();
  struct statvfs GetSpace();
  uint32_t Access();
  std::span<const char> Read(bool& eof);  // lives as long as this
  struct Written {
    uint32_t count = 0;
    stable_how4 committed = UNSTABLE4;
    Verifier verifier = {};
  };
  Written Write();
  Verifier Commit();
  void SetAttr();
  void Create();
  void Remove();
  void Rename();
  void Link();
  std::string ReadLink();
  // Appends entries; returns the cookie verifier.
  Verifier ReadDir(std::vector<DirectoryEntry>& entries, bool& eof);
  struct Opened {
    StateId state;
    bool confirm = false;
  };
  Opened Open();
  StateId State(nfs_opnum4 op);  // OPEN_CONFIRM, CLOSE, LOCKU
  StateId Lock(LockConflict& conflict);
  void LockTest(LockConflict& conflict);
  struct ClientId {
    uint64_t client = 0;
    Verifier confirm = {};
  };
  ClientId SetClientId();

 private:
  bool Begin(nfs_opnum4 op);
  void Break();
  uint32_t U32();
  uint64_t U64();
  bool Bool() { return U32() != 0; }
  std::span<const char> Opaque(size_t max);
  template <size_t N>
  std::array<char, N> Fixed();
  StateId ReadState();
  void ChangeInfo();
  void Bitmap(uint32_t words[3]);
  Attributes ReadAttributes();
  void ReadConflict(LockConflict& conflict);
  void SkipDelegation();

  std::unique_ptr<char[]> record_;
  const char* at_ = nullptr;
  const char* end_ = nullptr;
  uint32_t left_ = 0;
  uint64_t reached_ = 0;  // a bit per operation number
  Status status_ = kMalformed;
  Status whole_ = kMalformed;
};

}  // namespace tarn::fuse
