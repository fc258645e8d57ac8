// For unit tests of the NFS server: the server in process over the memory engine and a clock that
// the test moves, and compounds written as lists of operations.
//
// Threads: a Harness may be called from several; the result of a Reply lives as long as the Reply.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/clock.h"
#include "server/nfs4/server.h"

namespace tarn::nfs4::testing {

// One file system on every listener, and access points by name.
class TableExports : public Exports {
 public:
  explicit TableExports(std::shared_ptr<const Export> root) : root_(std::move(root)) {}
  void Add(std::string name, std::shared_ptr<const Export> point) {
    points_.emplace_back(std::move(name), std::move(point));
  }
  Result<std::shared_ptr<const Export>> Root(uint64_t listener) override;
  Result<std::shared_ptr<const Export>> Enter(uint32_t file_system, std::string_view name) override;
  Result<std::shared_ptr<const Export>> Find(uint32_t file_system, uint64_t number) override;
  std::vector<std::shared_ptr<const Export>> FileSystems() override { return {root_}; }
  // Of everybody, in all exports or in the one of that number.
  void SetRights(const Rights& rights) {
    rights_ = rights;
    rights_of_.clear();
  }
  void SetRights(const Rights& rights, uint64_t number) { rights_of_[number] = rights; }
  Rights RightsOf(const rpc::Peer&, const Export& exported) override {
    auto found = rights_of_.find(exported.number);
    return found == rights_of_.end() ? rights_ : found->second;
  }

 private:
  Rights rights_;
  std::map<uint64_t, Rights> rights_of_;
  std::shared_ptr<const Export> root_;
  std::vector<std::pair<std::string, std::shared_ptr<const Export>>> points_;
};

struct Reply {
  std::vector<std::byte> bytes;
  rpc::accept_stat accepted = rpc::SYSTEM_ERR;
  COMPOUND4res result;  // views into `bytes`
  nfsstat4 status() const { return result.status; }
  template <typename T>
  const T& at(size_t index) const {
    return std::get<T>(result.resarray.at(index).u);
  }
};

template <typename Args>
nfs_argop4 Op(nfs_opnum4 number, Args args) {
  nfs_argop4 op;
  op.argop = number;
  op.u = std::move(args);
  return op;
}
inline nfs_argop4 Op(nfs_opnum4 number) {
  nfs_argop4 op;
  op.argop = number;
  return op;
}
// Copies of bytes that outlive the compound: kept for the whole test program.
xdr::Opaque Keep(std::string_view text);
inline nfs_argop4 PutFh(xdr::Opaque handle) {
  return Op(OP_PUTFH, PUTFH4args{.object = handle});
}
// Of a text that outlives the compound.
inline xdr::Opaque Bytes(const std::string& text) {
  return std::as_bytes(std::span(text));
}
// A lock by the owner "locker", who has none of that open yet.
LOCK4args LockNew(const stateid4& open, nfs_lock_type4 type, uint64_t offset, uint64_t length);

// The engine's, which can be made to refuse changes.
class BreakableRecords : public vfs::RecordStore {
 public:
  explicit BreakableRecords(vfs::RecordStore& records) : records_(records) {}
  bool broken = false;

  Result<std::optional<std::string>> Get(std::string_view key) override {
    return records_.Get(key);
  }
  Result<void> Put(std::string_view key, std::string_view value) override {
    if (broken) return Error(Code::kIo, "broken");
    return records_.Put(key, value);
  }
  Result<void> Delete(std::string_view key) override {
    if (broken) return Error(Code::kIo, "broken");
    return records_.Delete(key);
  }
  Result<void> Scan(
      std::string_view prefix,
      const std::function<bool(std::string_view key, std::string_view value)>& visit) override {
    return records_.Scan(prefix, visit);
  }

 private:
  vfs::RecordStore& records_;
};

class Harness {
 public:
  Harness();
  ~Harness();
  // What kill -9 and a new start do to the server.
  void Restart();

  Reply Run(uint32_t minor, std::vector<nfs_argop4> ops);
  // The same bytes as a retransmission.
  Reply RunRaw(const std::vector<std::byte>& request);
  std::vector<std::byte> Encoded(uint32_t minor, std::vector<nfs_argop4> ops);

  ManualClock clock;
  std::unique_ptr<vfs::Engine> engine;
  BreakableRecords records;
  vfs::FileSystem* files = nullptr;
  std::shared_ptr<Export> root;
  std::unique_ptr<TableExports> exports;
  std::unique_ptr<Server> server;
  ServerOptions options{.lease = std::chrono::seconds(30), .tick = std::chrono::milliseconds(0)};
  uint32_t xid = 1;
  rpc::Credential credential{.flavor = rpc::AUTH_SYS, .uid = 0, .gid = 0, .gids = {}};
  rpc::Peer peer{.connection = 1, .address = "192.0.2.2", .port = 700, .listener = 1};
};

// A 4.1 or 4.2 client with one session.
class Client41 {
 public:
  Client41(Harness& harness, std::string owner, uint64_t boot = 1, uint32_t minor = 1);
  // EXCHANGE_ID, CREATE_SESSION and, if `complete`, RECLAIM_COMPLETE.
  void Start(bool complete = true);
  // The first two; the status of the first that fails.
  nfsstat4 TryStart();
  nfs_argop4 NextSequence(uint32_t slot = 0, bool cache = true);
  Reply Run(std::vector<nfs_argop4> ops, bool cache = true);
  // Opens "name" in the root for reading and writing, making it.
  stateid4 OpenFile(const std::string& name, std::string& handle, uint32_t access = 3,
                    uint32_t deny = 0, nfsstat4 expected = NFS4_OK,
                    const std::string& owner = "opener");
  nfsstat4 TryOpenFile(const std::string& name, std::string& handle, stateid4& stateid,
                       uint32_t access = 3, uint32_t deny = 0, const std::string& owner = "opener");
  OPEN4args OpenArgs(const std::string& name, uint32_t access, uint32_t deny, bool create,
                     const std::string& owner = "opener");

  Harness& harness;
  std::string owner;
  uint64_t boot;
  uint32_t minor;
  clientid4 id = 0;
  sessionid4 session{};
  std::vector<uint32_t> sequences = std::vector<uint32_t>(8, 0);
};

}  // namespace tarn::nfs4::testing
