#include "server/nfs4/compound.h"

#include <algorithm>
#include <cstring>

#include "common/log.h"
#include "server/nfs4/names.h"
#include "server/nfs4/ops/ops.h"
#include "server/nfs4/root_squash.h"

namespace tarn::nfs4 {
namespace {

constexpr uint32_t kTagBytesMax = 4096;
constexpr uint32_t kMinorMax = 2;
// In 4.0 no session says how many operations a compound may have.
constexpr uint32_t kOperationsMax40 = 256;
// Nor how long its reply may get: no operation begins beyond this, so that a request of a few
// hundred bytes cannot ask for as many READs of 1 MiB.
constexpr size_t kReplyBytesMax40 = 1 << 20;
// The RPC reply header, which counts against a session's limits too.
constexpr size_t kReplyHeaderBytes = 24;
// No operation that changes something answers success with more than this.
constexpr size_t kChangeReplyBytesMax = 96;
constexpr size_t kFingerprintBytes = 4096;
// 4.0: so many of a client address's last changes are known again after a restart.
constexpr uint32_t kXidsRemembered = 1024;

// Clients count xids, and Linux in its own byte order: on a little-endian machine what it counts is
// the first byte, and the last ones stay. Neighbours get different places either way.
uint32_t PlaceOf(uint32_t xid) {
  return (xid + __builtin_bswap32(xid)) % kXidsRemembered;
}

}  // namespace

rpc::accept_stat Compound::Run() {
  request_ = from.rest();
  reply_at_ = to.mark();
  std::string_view tag;
  if (!DecodeHead(tag)) return rpc::GARBAGE_ARGS;
  to.Put(static_cast<uint32_t>(NFS4_OK));
  to.PutString(tag);
  count_at_ = to.mark();
  to.Put(uint32_t{0});
  if (minor > kMinorMax) {
    status_ = NFS4ERR_MINOR_VERS_MISMATCH;
  } else if (!IsUtf8(tag)) {
    status_ = NFS4ERR_INVAL;
  } else if (minor == 0 && operations > kOperationsMax40) {
    status_ = NFS4ERR_RESOURCE;
  } else {
    RunAll();
  }
  Finish();
  return rpc::SUCCESS;
}

bool Compound::DecodeHead(std::string_view& tag) {
  return from.GetString(tag, kTagBytesMax) && from.Get(minor) && from.Get(operations);
}

void Compound::RunAll() {
  for (uint32_t index = 0; index < operations && status_ == NFS4_OK && !replaced_; ++index) {
    nfs_opnum4 number{};
    if (!Decode(from, number)) {
      to.Put(static_cast<uint32_t>(OP_ILLEGAL));
      to.Put(static_cast<uint32_t>(NFS4ERR_BADXDR));
      status_ = NFS4ERR_BADXDR;
      ++done_;
      return;
    }
    RunOne(number, index);
  }
}

nfsstat4 Compound::Admit(nfs_opnum4 number, uint32_t index) {
  const Operation& op = *FindOperation(number);
  if (minor >= 1) {
    if (index == 0 && number != OP_SEQUENCE) {
      if (!op.alone) return NFS4ERR_OP_NOT_IN_SESSION;
      if (operations > 1) return NFS4ERR_NOT_ONLY_OP;
    }
    if (index > 0 && number == OP_SEQUENCE) return NFS4ERR_SEQUENCE_POS;
    if (index > 0 && session && !slot_) return NFS4ERR_RETRY_UNCACHED_REP;
  }
  if (op.run == nullptr || minor > op.minor_max) return NFS4ERR_NOTSUPP;
  if (minor == 0 && to.size() > kReplyBytesMax40) return NFS4ERR_RESOURCE;
  if (op.needs_file) {
    if (!current) return NFS4ERR_NOFILEHANDLE;
    if (!op.gives_up) NFS_TRY(MayUseCurrent(op.passing));
  }
  if (slot_ && op.changes) return CheckReplySize(number);
  return NFS4_OK;
}

// Before an operation that changes something: will its reply fit? After it would be too late.
nfsstat4 Compound::CheckReplySize(nfs_opnum4 number) {
  size_t so_far = to.size() - reply_at_.bytes - reply_at_.bulk_bytes + kReplyHeaderBytes;
  const Operation* op = FindOperation(number);
  size_t then = so_far + (op != nullptr && op->changes ? kChangeReplyBytesMax : 0);
  if (then > session->fore.ca_maxresponsesize) return NFS4ERR_REP_TOO_BIG;
  if (slot_->cache && then > session->fore.ca_maxresponsesize_cached) {
    return NFS4ERR_REP_TOO_BIG_TO_CACHE;
  }
  return NFS4_OK;
}

// Of the operations that change files, those that leave in `fresh` what is so afterwards. What the
// others leave there they asked for before their change.
static bool TellsAttributes(nfs_opnum4 number) {
  return number == OP_CREATE || number == OP_OPEN || number == OP_SETATTR;
}

void Compound::RunOne(nfs_opnum4 number, uint32_t index) {
  ++done_;
  const Operation* op = FindOperation(number);
  bool illegal = op == nullptr || minor < op->minor_min;
  to.Put(static_cast<uint32_t>(illegal ? OP_ILLEGAL : number));
  xdr::Encoder::Mark status_at = to.mark();
  to.Put(uint32_t{0});
  xdr::Encoder::Mark body_at = to.mark();
  nfsstat4 status = illegal ? NFS4ERR_OP_ILLEGAL : Admit(number, index);
  keep_body = false;
  if (status == NFS4_OK) {
    if (minor == 0 && op->no_seqid && !replay_key_ && Replayed()) return;
    if (!op->keeps_fresh) fresh.reset();
    if (!op->quick) call.AboutToWait();
    caller_.replay.reset();
    if (op->once) TagCaller(index);
    status = op->run(*this);
    changes_.clear();
    if (op->changes && !TellsAttributes(number)) fresh.reset();
    if (replaced_) return;
    if (status == NFS4_OK && slot_ && !op->changes) status = CheckReplySize(number);
  }
  FinishOperation(number, status_at, body_at, status);
}

void Compound::FinishOperation(nfs_opnum4 number, const xdr::Encoder::Mark& status_at,
                               const xdr::Encoder::Mark& body_at, nfsstat4 status) {
  if (status != NFS4_OK && !keep_body) {
    to.Truncate(body_at);
    // SETATTR's bitmap is there whatever its status.
    if (number == OP_SETATTR) Encode(to, xdr::Bitmap());
  }
  to.PatchU32(status_at, static_cast<uint32_t>(status));
  status_ = status;
}

uint64_t Compound::Fingerprint() const {
  // Eight bytes a step: this is on the way of every request.
  constexpr uint64_t kMultiplier = 0x9e3779b97f4a7c15;
  uint64_t hash = request_.size() ^ (uint64_t{call.credential.uid} << 32);
  xdr::Opaque bytes = request_.first(std::min(request_.size(), kFingerprintBytes));
  while (!bytes.empty()) {
    uint64_t word = 0;
    size_t size = std::min(bytes.size(), sizeof(word));
    std::memcpy(&word, bytes.data(), size);
    hash = (hash ^ word) * kMultiplier;
    hash ^= hash >> 32;
    bytes = bytes.subspan(size);
  }
  return hash;
}

void Compound::TagCaller(uint32_t index) {
  vfs::ReplayTag tag;
  uint32_t sequence = call.xid;
  uint32_t place = PlaceOf(call.xid);
  if (slot_) {
    // The prefix by which Recovery::ForgetSession forgets.
    tag.slot.assign(reinterpret_cast<const char*>(session->id.data()), session->id.size());
    place = slot_->slot;
    sequence = slot_->sequence;
  } else {
    // Pods come and go behind a node's address: records of each of them would never end.
    tag.slot = call.peer.address;
  }
  tag.slot.append("/").append(std::to_string(place)).append("/").append(std::to_string(index));
  uint64_t request = Fingerprint() ^ identity().Part();
  tag.sequence = uint64_t{sequence} << 32 | static_cast<uint32_t>(request);
  caller_.replay = std::move(tag);
}

bool Compound::Replayed() {
  ReplayCache::Key key{.address = call.peer.address,
                       .identity = identity(),
                       .xid = call.xid,
                       .fingerprint = Fingerprint()};
  std::vector<std::byte> reply;
  if (services.replays.Begin(key, reply)) {
    replay_key_ = std::move(key);
    return false;
  }
  ReplaceReply(reply);
  return true;
}

void Compound::ReplaceReply(const std::vector<std::byte>& reply) {
  to.Truncate(reply_at_);
  to.PutRaw(reply);
  replaced_ = true;
}

void Compound::Finish() {
  if (replaced_) return;
  to.PatchU32(reply_at_, static_cast<uint32_t>(status_));
  to.PatchU32(count_at_, done_);
  if (restart_told_ && !client->MustBeToldOfRestart()) {
    to.PatchU32(restart_told_->at, restart_told_->flags & ~SEQ4_STATUS_RESTART_RECLAIM_NEEDED);
  }
  if (slot_) {
    bool cache = slot_->cache || operations == 1;
    session->Finish(slot_->slot, cache, cache ? to.Flatten(reply_at_) : std::vector<std::byte>());
  }
  if (replay_key_) services.replays.Finish(*replay_key_, to.Flatten(reply_at_));
}

void Compound::AskForRights(const Export& exported) {
  rights_ = services.exports.RightsOf(call.peer, exported);
  rights_to_ = {.file_system = exported.file_system, .number = exported.number};
}

nfsstat4 Compound::MayEnter(const Export& exported) {
  const Rights& rights = RightsTo(exported);
  return rights.mount || rights.pass ? NFS4_OK : NFS4ERR_ACCESS;
}

nfsstat4 Compound::MayPassCurrent(bool passing) {
  bool at_root = current.id == exported().root;
  return passing && at_root && RightsTo(exported()).pass ? NFS4_OK : NFS4ERR_ACCESS;
}

const vfs::Caller& Compound::CallerFor(const CurrentFile& file) {
  const Export& exported = *file.exported;
  if (caller_of_.Is(exported)) return caller_;
  caller_of_ = {.file_system = exported.file_system, .number = exported.number};
  const Rights& rights = RightsTo(exported);
  caller_.realm = exported.realm;
  caller_.read_only = exported.read_only || !rights.write;
  if (exported.user) {
    caller_.uid = exported.user->uid;
    caller_.gid = exported.user->gid;
    caller_.gids = exported.user->gids;
  } else {
    caller_.uid = call.credential.uid;
    caller_.gid = call.credential.gid;
    caller_.gids = call.credential.gids;
    services.exports.SettleGroups(caller_);
  }
  if (!rights.root) SquashRoot(caller_);
  return caller_;
}

void Compound::SetCurrent(CurrentFile file) {
  current = std::move(file);
  current_stateid.reset();
  fresh.reset();
}

nfsstat4 Compound::Attributes(vfs::Attributes& attributes) {
  if (!fresh) {
    auto found = engine().GetAttributes(caller(), current.id);
    if (!found.ok()) return ToStatus(found);
    fresh = *std::move(found);
  }
  attributes = *fresh;
  return NFS4_OK;
}

namespace {

nfsstat4 Take(Result<std::shared_ptr<const Export>> found, std::shared_ptr<const Export>& root) {
  if (!found.ok()) return found.code() == Code::kNotFound ? NFS4ERR_STALE : ToStatus(found);
  root = *std::move(found);
  return NFS4_OK;
}

}  // namespace

nfsstat4 Compound::RootExport(std::shared_ptr<const Export>& root) {
  return Take(services.exports.RootFor(call.peer), root);
}

nfsstat4 Compound::FileSystemRoot(std::shared_ptr<const Export>& root) {
  return Take(services.exports.Root(call.peer.listener), root);
}

nfsstat4 Compound::KeyOfClient(xdr::Opaque owner, std::string& key) {
  std::shared_ptr<const Export> root;
  NFS_TRY(FileSystemRoot(root));
  key = ClientKey{.identity = identity(),
                  .file_system = root->file_system,
                  .minor = minor,
                  .owner = {reinterpret_cast<const char*>(owner.data()), owner.size()}}
            .Text();
  return NFS4_OK;
}

}  // namespace tarn::nfs4
