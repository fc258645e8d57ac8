// EXCHANGE_ID (RFC 8881 section 18.35).
#include "common/version.h"
#include "server/nfs4/ops/state_ops.h"

namespace tarn::nfs4::ops {
namespace {

constexpr uint32_t kFlags = EXCHGID4_FLAG_SUPP_MOVED_REFER | EXCHGID4_FLAG_SUPP_MOVED_MIGR |
                            EXCHGID4_FLAG_BIND_PRINC_STATEID | EXCHGID4_FLAG_MASK_PNFS |
                            EXCHGID4_FLAG_UPD_CONFIRMED_REC_A;

nfsstat4 CheckArguments(const EXCHANGE_ID4args& args) {
  // EXCHGID4_FLAG_SUPP_FENCE_OPS of 4.2 asks for a promise that is not made here: an operation of
  // the last session may still run when the next one is made.
  if ((args.eia_flags & ~kFlags) != 0) return NFS4ERR_INVAL;
  switch (args.eia_state_protect.spa_how) {
    case SP4_NONE:
      return NFS4_OK;
    case SP4_MACH_CRED:
      return NFS4ERR_INVAL;  // needs RPCSEC_GSS
    case SP4_SSV:
      return NFS4ERR_ENCR_ALG_UNSUPP;
  }
  return NFS4ERR_INVAL;
}

// It names the file system too: addresses of one server that lead to different file systems must
// not be taken for paths to the same one (trunking, RFC 8881 section 2.10.5). And the identity: a
// client that comes with two certificates would send what it does with the second one by the
// connection of the first, with that one's rights.
nfsstat4 ServerOwner(Compound& c, std::string& owner) {
  std::shared_ptr<const Export> root;
  NFS_TRY(c.FileSystemRoot(root));
  owner = c.services.recovery->server_id() + "/" + std::to_string(root->file_system);
  const rpc::PeerIdentity& identity = c.identity();
  if (!identity.nobody()) owner.append("/").append(identity.Text());
  return NFS4_OK;
}

}  // namespace

nfsstat4 ExchangeId(Compound& c, const EXCHANGE_ID4args& args) {
  NFS_TRY(CheckArguments(args));
  bool update = (args.eia_flags & EXCHGID4_FLAG_UPD_CONFIRMED_REC_A) != 0;
  std::string key;
  NFS_TRY(c.KeyOfClient(args.eia_clientowner.co_ownerid, key));
  auto known = c.services.clients.ExchangeId({.key = std::move(key),
                                              .verifier = args.eia_clientowner.co_verifier,
                                              .principal = c.principal(),
                                              .tenant = c.call.peer.tenant()},
                                             update);
  NFS_TRY(known.status);
  std::string owner;
  NFS_TRY(ServerOwner(c, owner));
  EXCHANGE_ID4resok ok;
  ok.eir_clientid = known.client->id;
  ok.eir_sequenceid = known.next_sequence;
  ok.eir_flags = EXCHGID4_FLAG_USE_NON_PNFS | (known.confirmed ? EXCHGID4_FLAG_CONFIRMED_R : 0);
  ok.eir_state_protect.spr_how = SP4_NONE;
  ok.eir_server_owner.so_major_id = std::as_bytes(std::span(owner));
  ok.eir_server_scope = std::as_bytes(std::span(owner));
  ok.eir_server_impl_id.push_back({.nii_domain = "tarn.dev", .nii_name = kVersion, .nii_date = {}});
  Encode(c.to, ok);
  return NFS4_OK;
}

}  // namespace tarn::nfs4::ops
