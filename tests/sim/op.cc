#include "tests/sim/op.h"

#include <algorithm>
#include <cstring>

namespace tarn::sim {

using namespace nfs4;
using nfs_client::AsOpaque;

namespace {

const xdr::Bitmap& Wanted() {
  static const xdr::Bitmap wanted{FATTR4_TYPE,   FATTR4_CHANGE, FATTR4_SIZE,
                                  FATTR4_FILEID, FATTR4_MODE,   FATTR4_NUMLINKS};
  return wanted;
}

std::string OwnerName(const char* what, uint32_t owner) {
  return std::string(what) + std::to_string(owner);
}

verifier4 VerifierOf(uint64_t number) {
  verifier4 verifier{};
  std::memcpy(verifier.data(), &number, sizeof(number));
  return verifier;
}

void EncodeSetAttributes(const Op& op, Compound& to) {
  nfs_client::SetAttributes set;
  if (op.kind == Kind::kSetMode) set.mode = op.mode;
  if (op.kind == Kind::kSetSize) set.size = op.size * kUnitBytes;
  nfs_client::EncodedAttributes encoded(set);
  to.Put(op.file)
      .Add(OP_SETATTR, SETATTR4args{.stateid = op.state, .obj_attributes = encoded.view()})
      .GetAttr(Wanted());
}

void EncodeCreate(const Op& op, Compound& to) {
  nfs_client::SetAttributes set;
  set.mode = op.mode;
  nfs_client::EncodedAttributes encoded(set);
  CREATE4args args{.objtype = {}, .objname = op.name, .createattrs = encoded.view()};
  args.objtype.type = op.kind == Kind::kMkdir ? NF4DIR : NF4LNK;
  args.objtype.linkdata = op.text;
  to.Put(op.file).Add(OP_CREATE, args).GetFh().GetAttr(Wanted());
}

void EncodeOpen(const Op& op, uint32_t minor, Compound& to) {
  nfs_client::SetAttributes set;
  set.mode = op.mode;
  if (op.truncate) set.size = 0;
  nfs_client::EncodedAttributes encoded(set);
  OPEN4args args{.seqid = op.seqid,
                 .share_access = op.access,
                 .share_deny = op.deny,
                 .owner = {.clientid = op.client_id, .owner = {}},
                 .openhow = {},
                 .claim = {}};
  std::string owner = OwnerName("open", op.owner);
  args.owner.owner = AsOpaque(owner);
  if (op.create) {
    args.openhow.opentype = OPEN4_CREATE;
    bool both = *op.create == EXCLUSIVE4 && minor >= 1;
    args.openhow.how.mode = both ? EXCLUSIVE4_1 : *op.create;
    args.openhow.how.createattrs = encoded.view();
    args.openhow.how.createverf = VerifierOf(op.verifier);
    args.openhow.how.ch_createboth = {.cva_verf = VerifierOf(op.verifier),
                                      .cva_attrs = encoded.view()};
  }
  args.claim.claim = op.reclaim ? CLAIM_PREVIOUS : CLAIM_NULL;
  args.claim.delegate_type = OPEN_DELEGATE_NONE;
  args.claim.file = op.name;
  to.Put(op.file).Add(OP_OPEN, args).GetFh().GetAttr(Wanted());
}

void EncodeLock(const Op& op, Compound& to) {
  LOCK4args args{.locktype = op.write_lock ? WRITE_LT : READ_LT,
                 .reclaim = op.reclaim,
                 .offset = op.offset,
                 .length = op.count,
                 .locker = {}};
  std::string owner = OwnerName("lock", op.owner);
  args.locker.new_lock_owner = op.new_lock_owner;
  if (op.new_lock_owner) {
    args.locker.open_owner = {.open_seqid = op.seqid,
                              .open_stateid = op.state,
                              .lock_seqid = op.lock_seqid,
                              .lock_owner = {.clientid = op.client_id, .owner = AsOpaque(owner)}};
  } else {
    args.locker.lock_owner = {.lock_stateid = op.lock_state, .lock_seqid = op.seqid};
  }
  to.Put(op.file).Add(OP_LOCK, args);
}

void EncodeState(const Op& op, uint32_t minor, Compound& to) {
  switch (op.kind) {
    case Kind::kOpen:
      return EncodeOpen(op, minor, to);
    case Kind::kOpenConfirm:
      to.Put(op.file).Add(OP_OPEN_CONFIRM,
                          OPEN_CONFIRM4args{.open_stateid = op.state, .seqid = op.seqid});
      return;
    case Kind::kDowngrade:
      to.Put(op.file).Add(OP_OPEN_DOWNGRADE, OPEN_DOWNGRADE4args{.open_stateid = op.state,
                                                                 .seqid = op.seqid,
                                                                 .share_access = op.access,
                                                                 .share_deny = op.deny});
      return;
    case Kind::kClose:
      to.Put(op.file).Add(OP_CLOSE, CLOSE4args{.seqid = op.seqid, .open_stateid = op.state});
      return;
    case Kind::kLock:
      return EncodeLock(op, to);
    case Kind::kLockTest: {
      std::string owner = OwnerName("lock", op.owner);
      to.Put(op.file).Add(OP_LOCKT, LOCKT4args{.locktype = op.write_lock ? WRITE_LT : READ_LT,
                                               .offset = op.offset,
                                               .length = op.count,
                                               .owner = {op.client_id, AsOpaque(owner)}});
      return;
    }
    case Kind::kUnlock:
      to.Put(op.file).Add(OP_LOCKU, LOCKU4args{.locktype = op.write_lock ? WRITE_LT : READ_LT,
                                               .seqid = op.seqid,
                                               .lock_stateid = op.lock_state,
                                               .offset = op.offset,
                                               .length = op.count});
      return;
    default:
      return;
  }
}

channel_attrs4 Channel(uint32_t bytes, uint32_t cached, uint32_t requests) {
  return {.ca_headerpadsize = 0,
          .ca_maxrequestsize = bytes,
          .ca_maxresponsesize = bytes,
          .ca_maxresponsesize_cached = cached,
          .ca_maxoperations = 16,
          .ca_maxrequests = requests,
          .ca_rdma_ird = {}};
}

void EncodeIdentity(const Op& op, uint32_t minor, Compound& to) {
  switch (op.kind) {
    case Kind::kRenew:
      if (minor == 0) to.Add(OP_RENEW, RENEW4args{.clientid = op.client_id});
      return;
    case Kind::kExchangeId:
      to.Add(OP_EXCHANGE_ID,
             EXCHANGE_ID4args{.eia_clientowner = {.co_verifier = VerifierOf(op.verifier),
                                                  .co_ownerid = AsOpaque(op.client_owner)},
                              .eia_flags = EXCHGID4_FLAG_USE_NON_PNFS,
                              .eia_state_protect = {},
                              .eia_client_impl_id = {}});
      return;
    case Kind::kCreateSession:
      to.Add(OP_CREATE_SESSION,
             CREATE_SESSION4args{.csa_clientid = op.client_id,
                                 .csa_sequence = op.session_sequence,
                                 .csa_flags = 0,
                                 .csa_fore_chan_attrs = Channel(1 << 20, 4096, 16),
                                 .csa_back_chan_attrs = Channel(4096, 0, 1),
                                 .csa_cb_program = NFS4_CALLBACK,
                                 .csa_sec_parms = {{}}});
      return;
    case Kind::kReclaimComplete:
      to.Add(OP_RECLAIM_COMPLETE, RECLAIM_COMPLETE4args{.rca_one_fs = false});
      return;
    case Kind::kSetClientId:
      to.Add(OP_SETCLIENTID,
             SETCLIENTID4args{
                 .client = {.verifier = VerifierOf(op.verifier), .id = AsOpaque(op.client_owner)},
                 .callback = {.cb_program = NFS4_CALLBACK,
                              .cb_location = {.na_r_netid = "tcp", .na_r_addr = "127.0.0.1.0.0"}},
                 .callback_ident = 1});
      return;
    case Kind::kConfirmClientId:
      to.Add(OP_SETCLIENTID_CONFIRM,
             SETCLIENTID_CONFIRM4args{.clientid = op.client_id, .setclientid_confirm = op.confirm});
      return;
    default:
      return;
  }
}

// `bulk` keeps what is written until the compound has been sent.
void EncodeData(const Op& op, std::string& bulk, Compound& to) {
  to.Put(op.file);
  if (op.kind == Kind::kCommit) {
    to.Add(OP_COMMIT, COMMIT4args{.offset = 0, .count = 0});
  } else if (op.kind == Kind::kRead) {
    to.Add(OP_READ, READ4args{.stateid = op.state,
                              .offset = op.offset * kUnitBytes,
                              .count = static_cast<uint32_t>(op.count * kUnitBytes)});
  } else {
    for (uint64_t unit = 0; unit < op.count; ++unit) bulk += Fill(op.fill);
    to.Add(OP_WRITE, WRITE4args{.stateid = op.state,
                                .offset = op.offset * kUnitBytes,
                                .stable = op.stable,
                                .data = AsOpaque(bulk)});
  }
}

}  // namespace

bool InSession(Kind kind) {
  return kind != Kind::kExchangeId && kind != Kind::kCreateSession && kind != Kind::kSetClientId &&
         kind != Kind::kConfirmClientId;
}

bool IsTagged(Kind kind) {
  return kind == Kind::kMkdir || kind == Kind::kSymlink || kind == Kind::kRemove ||
         kind == Kind::kRename || kind == Kind::kLink || kind == Kind::kOpen;
}

bool IsRead(Kind kind) {
  switch (kind) {
    case Kind::kLookup:
    case Kind::kGetattr:
    case Kind::kReaddir:
    case Kind::kReadlink:
    case Kind::kRead:
    case Kind::kCommit:
    case Kind::kLockTest:
    case Kind::kRenew:
      return true;
    default:
      return false;
  }
}

namespace {

void EncodeAny(const Op& op, uint32_t minor, std::string& bulk, Compound& to) {
  switch (op.kind) {
    case Kind::kLookup:
      to.Put(op.file).Lookup(op.name).GetFh().GetAttr(Wanted());
      return;
    case Kind::kGetattr:
      to.Put(op.file).GetAttr(Wanted());
      return;
    case Kind::kReaddir:
      to.Put(op.file).Add(OP_READDIR, READDIR4args{.cookie = op.cookie,
                                                   .cookieverf = {},
                                                   .dircount = op.bytes_max,
                                                   .maxcount = op.bytes_max,
                                                   .attr_request = {FATTR4_FILEID}});
      return;
    case Kind::kReadlink:
      to.Put(op.file).Add(OP_READLINK);
      return;
    case Kind::kMkdir:
    case Kind::kSymlink:
      return EncodeCreate(op, to);
    case Kind::kRemove:
      to.Put(op.file).Add(OP_REMOVE, REMOVE4args{.target = op.name});
      return;
    case Kind::kRename:
      to.Put(op.file).SaveFh().Put(op.target).Add(
          OP_RENAME, RENAME4args{.oldname = op.name, .newname = op.new_name});
      return;
    case Kind::kLink:
      to.Put(op.file).SaveFh().Put(op.target).Add(OP_LINK, LINK4args{.newname = op.new_name});
      return;
    case Kind::kSetMode:
    case Kind::kSetSize:
      return EncodeSetAttributes(op, to);
    case Kind::kRead:
    case Kind::kWrite:
    case Kind::kCommit:
      return EncodeData(op, bulk, to);
    default:
      EncodeState(op, minor, to);
      EncodeIdentity(op, minor, to);
  }
}

}  // namespace

std::vector<std::byte> Encode(const Op& op, uint32_t minor, const SEQUENCE4args* sequence) {
  std::string bulk;
  Compound compound;
  EncodeAny(op, minor, bulk, compound);
  std::vector<std::byte> bytes = compound.Head(minor, sequence).Flatten();
  std::vector<std::byte> ops = compound.ops().Flatten();
  bytes.insert(bytes.end(), ops.begin(), ops.end());
  return bytes;
}

std::string Fill(uint32_t fill) {
  std::string unit(kUnitBytes, '\0');
  uint64_t word = (uint64_t{fill} + 1) * 0x9e3779b97f4a7c15;
  for (size_t at = 0; at < unit.size(); at += sizeof(word), word = word * 5 + 1) {
    std::memcpy(unit.data() + at, &word, std::min(sizeof(word), unit.size() - at));
  }
  return unit;
}

}  // namespace tarn::sim
