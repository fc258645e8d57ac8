#include "server/nfs4/testing/harness.h"

#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <mutex>

#include "server/engine/memory/memory_engine.h"

namespace tarn::nfs4::testing {

Result<std::shared_ptr<const Export>> TableExports::Root(uint64_t listener) {
  if (listener == 0) return Error(Code::kNotFound);
  return root_;
}

Result<std::shared_ptr<const Export>> TableExports::Enter(uint32_t, std::string_view name) {
  for (const auto& [known, point] : points_) {
    if (known == name) return point;
  }
  return Error(Code::kNotFound);
}

Result<std::shared_ptr<const Export>> TableExports::Find(uint32_t, uint64_t number) {
  if (number == 0) return root_;
  for (const auto& [name, point] : points_) {
    if (point->number == number) return point;
  }
  return Error(Code::kNotFound);
}

xdr::Opaque Keep(std::string_view text) {
  static std::mutex mutex;
  static std::deque<std::string> kept;
  std::lock_guard lock(mutex);
  return std::as_bytes(std::span(kept.emplace_back(text)));
}

LOCK4args LockNew(const stateid4& open, nfs_lock_type4 type, uint64_t offset, uint64_t length) {
  LOCK4args lock{.locktype = type, .reclaim = false, .offset = offset, .length = length};
  lock.locker.new_lock_owner = true;
  lock.locker.open_owner.open_stateid = open;
  lock.locker.open_owner.lock_owner.owner = Keep("locker");
  return lock;
}

Harness::Harness() : engine(engine::NewMemoryEngine(clock)), records(engine->records()) {
  uint32_t number = engine->CreateFileSystem().value();
  files = engine->GetFileSystem(number).value();
  root = std::make_shared<Export>();
  root->file_system = number;
  root->engine = files;
  root->root = files->RealmRoot(vfs::kRootRealm).value();
  exports = std::make_unique<TableExports>(root);
  server = Server::Start(options, *exports, records, clock).value();
}

Harness::~Harness() = default;

void Harness::Restart() {
  server.reset();
  engine::SimulateRestart(*engine);
  server = Server::Start(options, *exports, records, clock).value();
}

std::vector<std::byte> Harness::Encoded(uint32_t minor, std::vector<nfs_argop4> ops) {
  xdr::Encoder to;
  Encode(to, COMPOUND4args{.tag = "test", .minorversion = minor, .argarray = std::move(ops)});
  return to.Flatten();
}

Reply Harness::Run(uint32_t minor, std::vector<nfs_argop4> ops) {
  ++xid;
  return RunRaw(Encoded(minor, std::move(ops)));
}

Reply Harness::RunRaw(const std::vector<std::byte>& request) {
  Reply reply;
  xdr::Decoder from(request);
  xdr::Encoder to;
  rpc::Call call{.xid = xid,
                 .version = NFS4_VERSION,
                 .procedure = NFSPROC4_COMPOUND,
                 .credential = credential,
                 .peer = peer};
  reply.accepted = server->Handle(call, from, to);
  reply.bytes = to.Flatten();
  xdr::Decoder back(reply.bytes);
  bool whole =
      reply.accepted != rpc::SUCCESS || (Decode(back, reply.result) && back.remaining() == 0);
  EXPECT_TRUE(whole) << "the reply is no COMPOUND4res";
  return reply;
}

Client41::Client41(Harness& with, std::string name, uint64_t life, uint32_t version)
    : harness(with), owner(std::move(name)), boot(life), minor(version) {}

nfsstat4 Client41::TryStart() {
  EXCHANGE_ID4args exchange;
  std::memcpy(exchange.eia_clientowner.co_verifier.data(), &boot, sizeof(boot));
  exchange.eia_clientowner.co_ownerid = Keep(owner);
  Reply known = harness.Run(minor, {Op(OP_EXCHANGE_ID, exchange)});
  if (known.status() != NFS4_OK) return known.status();
  const auto& ok = known.at<EXCHANGE_ID4res>(0).eir_resok4;
  id = ok.eir_clientid;
  CREATE_SESSION4args create;
  create.csa_clientid = id;
  create.csa_sequence = ok.eir_sequenceid;
  create.csa_fore_chan_attrs = {.ca_headerpadsize = 0,
                                .ca_maxrequestsize = 1 << 20,
                                .ca_maxresponsesize = 1 << 20,
                                .ca_maxresponsesize_cached = 2048,
                                .ca_maxoperations = 16,
                                .ca_maxrequests = 8,
                                .ca_rdma_ird = {}};
  create.csa_back_chan_attrs = create.csa_fore_chan_attrs;
  Reply made = harness.Run(minor, {Op(OP_CREATE_SESSION, create)});
  if (made.status() != NFS4_OK) return made.status();
  session = made.at<CREATE_SESSION4res>(0).csr_resok4.csr_sessionid;
  sequences.assign(8, 0);
  return NFS4_OK;
}

void Client41::Start(bool complete) {
  ASSERT_EQ(TryStart(), NFS4_OK);
  if (complete) {
    ASSERT_EQ(Run({Op(OP_RECLAIM_COMPLETE, RECLAIM_COMPLETE4args{})}).status(), NFS4_OK);
  }
}

nfs_argop4 Client41::NextSequence(uint32_t slot, bool cache) {
  return Op(OP_SEQUENCE, SEQUENCE4args{.sa_sessionid = session,
                                       .sa_sequenceid = ++sequences[slot],
                                       .sa_slotid = slot,
                                       .sa_highest_slotid = 7,
                                       .sa_cachethis = cache});
}

Reply Client41::Run(std::vector<nfs_argop4> ops, bool cache) {
  ops.insert(ops.begin(), NextSequence(0, cache));
  return harness.Run(minor, std::move(ops));
}

OPEN4args Client41::OpenArgs(const std::string& name, uint32_t access, uint32_t deny, bool create,
                             const std::string& opener) {
  OPEN4args open;
  open.share_access = access;
  open.share_deny = deny;
  open.owner.owner = Keep(opener);
  open.openhow.opentype = create ? OPEN4_CREATE : OPEN4_NOCREATE;
  open.openhow.how.mode = UNCHECKED4;
  open.claim.claim = CLAIM_NULL;
  xdr::Opaque kept = Keep(name);
  open.claim.file = {reinterpret_cast<const char*>(kept.data()), kept.size()};
  return open;
}

nfsstat4 Client41::TryOpenFile(const std::string& name, std::string& handle, stateid4& stateid,
                               uint32_t access, uint32_t deny, const std::string& opener) {
  Reply reply = Run(
      {Op(OP_PUTROOTFH), Op(OP_OPEN, OpenArgs(name, access, deny, true, opener)), Op(OP_GETFH)});
  if (reply.status() != NFS4_OK) return reply.status();
  xdr::Opaque object = reply.at<GETFH4res>(3).resok4.object;
  handle.assign(reinterpret_cast<const char*>(object.data()), object.size());
  stateid = reply.at<OPEN4res>(2).resok4.stateid;
  return NFS4_OK;
}

stateid4 Client41::OpenFile(const std::string& name, std::string& handle, uint32_t access,
                            uint32_t deny, nfsstat4 expected, const std::string& opener) {
  stateid4 stateid{};
  nfsstat4 status = TryOpenFile(name, handle, stateid, access, deny, opener);
  EXPECT_EQ(status, expected) << Name(status);
  return stateid;
}

}  // namespace tarn::nfs4::testing
