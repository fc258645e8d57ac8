// SETCLIENTID and SETCLIENTID_CONFIRM (RFC 7530 sections 16.33 and 16.34), 4.0 only.
#include "server/nfs4/ops/back_channel.h"
#include "server/nfs4/ops/state_ops.h"

namespace tarn::nfs4::ops {

nfsstat4 SetClientid(Compound& c, const SETCLIENTID4args& args) {
  std::string key;
  NFS_TRY(c.KeyOfClient(args.client.id, key));
  auto made = c.services.clients.SetClientId(
      {.key = std::move(key),
       .verifier = args.client.verifier,
       .principal = c.principal(),
       .tenant = c.call.peer.tenant(),
       .callback = AddressOf(c, args.callback, args.callback_ident)});
  if (made.status == NFS4ERR_CLID_INUSE) {
    Encode(c.to, clientaddr4{.na_r_netid = "tcp", .na_r_addr = ""});
    c.keep_body = true;
  }
  NFS_TRY(made.status);
  Encode(c.to, SETCLIENTID4resok{.clientid = made.client->id, .setclientid_confirm = made.confirm});
  return NFS4_OK;
}

nfsstat4 SetClientidConfirm(Compound& c, const SETCLIENTID_CONFIRM4args& args) {
  ClientTable& clients = c.services.clients;
  NFS_TRY(clients.ConfirmClientId(args.clientid, c.identity(), args.setclientid_confirm,
                                  c.principal()));
  if (auto client = clients.Find(args.clientid, c.identity())) ProbePath(c, *client);
  return NFS4_OK;
}

}  // namespace tarn::nfs4::ops
