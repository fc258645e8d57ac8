// COMPOUND: building one (RFC 8881 section 16.2) and reading its results.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "api/nfs4.h"
#include "tests/nfs/client/rpc_connection.h"

namespace tarn::nfs_client {

using nfs4::nfsstat4;
using nfs4::stateid4;
using Fh = Bytes;

// No nfsstat4 came: the connection ended, or the server refused the call as RPC. See `rpc`.
inline constexpr nfsstat4 kNoAnswer = static_cast<nfsstat4>(0xffffffff);

// A status, and a value when it is NFS4_OK.
template <typename T>
struct Answer {
  nfsstat4 status = kNoAnswer;
  T value{};
  bool ok() const { return status == nfs4::NFS4_OK; }
  T* operator->() { return &value; }
  const T* operator->() const { return &value; }
  T& operator*() { return value; }
  const T& operator*() const { return value; }
};

// Operations are encoded as they are added; only data of 4 KiB and more must live until it is sent.
class Compound {
 public:
  template <typename Args>
  Compound& Add(nfs4::nfs_opnum4 op, const Args& args) {
    Add(op);
    Encode(ops_, args);
    return *this;
  }
  Compound& Add(nfs4::nfs_opnum4 op) {
    ops_.Put(static_cast<uint32_t>(op));
    ++count_;
    switch (op) {
      case nfs4::OP_READ:
      case nfs4::OP_READDIR:
      case nfs4::OP_READLINK:
      case nfs4::OP_READ_PLUS:
      case nfs4::OP_GETXATTR:
      case nfs4::OP_LISTXATTRS:
        large_ = true;
        break;
      default:
        break;
    }
    return *this;
  }
  Compound& Root() { return Add(nfs4::OP_PUTROOTFH); }
  Compound& Put(const Fh& fh) { return Add(nfs4::OP_PUTFH, nfs4::PUTFH4args{.object = fh}); }
  Compound& Lookup(std::string_view name) {
    return Add(nfs4::OP_LOOKUP, nfs4::LOOKUP4args{.objname = name});
  }
  Compound& GetFh() { return Add(nfs4::OP_GETFH); }
  Compound& SaveFh() { return Add(nfs4::OP_SAVEFH); }
  Compound& GetAttr(const xdr::Bitmap& wanted) {
    return Add(nfs4::OP_GETATTR, nfs4::GETATTR4args{.attr_request = wanted});
  }
  // Opens a file in the directory for reading and writing, making it with mode 0644, and asks for
  // its handle and usual attributes: operations 0 to 3.
  Compound& OpenNew(const Fh& directory, std::string_view owner, std::string_view name);

  // Malformed things: bytes after the last operation, and a count that lies.
  xdr::Encoder& raw() { return ops_; }
  void SetCount(uint32_t count) { count_ = count; }
  void SetTag(std::string tag) { tag_ = std::move(tag); }
  uint32_t count() const { return count_; }
  // May have a reply that is too large to be cached; nothing that changes anything has.
  bool large() const { return large_; }

  // What comes before the operations, with `sequence` as the first of them if there is one.
  xdr::Encoder Head(uint32_t minor, const nfs4::SEQUENCE4args* sequence) const;
  const xdr::Encoder& ops() const { return ops_; }

 private:
  xdr::Encoder ops_;
  uint32_t count_ = 0;
  bool large_ = false;
  std::string tag_;
};

class CompoundReply {
 public:
  CompoundReply() = default;
  // `with_sequence`: the first result is not one of the caller's operations.
  CompoundReply(RpcReply rpc, bool with_sequence);

  nfsstat4 status = kNoAnswer;
  // Results of the caller's operations, the failed one last; views into the record.
  const std::vector<nfs4::nfs_resop4>& results() const { return results_; }
  size_t size() const { return results_.size(); }
  // The result of the operation at `index`. Precondition: it is there and of that type.
  template <typename T>
  const T& Get(size_t index) const {
    return std::get<T>(results_.at(index).u);
  }
  const std::string& tag() const { return tag_; }
  const nfs4::SEQUENCE4res& sequence() const { return sequence_; }
  const RpcReply& rpc() const { return rpc_; }

 private:
  RpcReply rpc_;
  std::vector<nfs4::nfs_resop4> results_;
  nfs4::SEQUENCE4res sequence_;
  std::string tag_;
};

// Special stateids (RFC 8881 section 8.2.3).
inline stateid4 AnonymousState() {
  return {};
}
inline stateid4 BypassState() {
  stateid4 all{.seqid = 0xffffffff, .other = {}};
  all.other.fill(std::byte{0xff});
  return all;
}
inline stateid4 CurrentState() {
  return {.seqid = 1, .other = {}};
}

}  // namespace tarn::nfs_client
