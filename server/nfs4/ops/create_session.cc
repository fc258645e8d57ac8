// CREATE_SESSION (RFC 8881 section 18.36).
#include <algorithm>

#include "server/nfs4/ops/back_channel.h"
#include "server/nfs4/ops/state_ops.h"

namespace tarn::nfs4::ops {
namespace {

constexpr uint32_t kFlags = CREATE_SESSION4_FLAG_PERSIST | CREATE_SESSION4_FLAG_CONN_BACK_CHAN |
                            CREATE_SESSION4_FLAG_CONN_RDMA;

// No compound fits into less than these; a callback is CB_SEQUENCE and one operation.
constexpr uint32_t kForeBytesMin = 256;
constexpr uint32_t kBackBytesMin = 128;
constexpr uint32_t kBackOperationsMin = 2;

nfsstat4 CheckBack(const channel_attrs4& back) {
  bool small = back.ca_maxrequestsize < kBackBytesMin || back.ca_maxresponsesize < kBackBytesMin ||
               back.ca_maxoperations < kBackOperationsMin;
  return small ? NFS4ERR_TOOSMALL : NFS4_OK;
}

nfsstat4 Negotiate(channel_attrs4& fore) {
  bool small = fore.ca_maxrequestsize < kForeBytesMin || fore.ca_maxresponsesize < kForeBytesMin ||
               fore.ca_maxoperations == 0;
  if (small) return NFS4ERR_TOOSMALL;
  fore.ca_headerpadsize = 0;
  fore.ca_maxrequestsize = std::min(fore.ca_maxrequestsize, kRequestBytesMax);
  fore.ca_maxresponsesize = std::min(fore.ca_maxresponsesize, kResponseBytesMax);
  fore.ca_maxresponsesize_cached =
      std::min({fore.ca_maxresponsesize_cached, kCachedReplyBytesMax, fore.ca_maxresponsesize});
  fore.ca_maxoperations = std::min(fore.ca_maxoperations, kOperationsMax);
  fore.ca_maxrequests = std::clamp(fore.ca_maxrequests, 1U, kSlotsMax);
  fore.ca_rdma_ird.clear();
  return NFS4_OK;
}

nfsstat4 Run(Compound& c, const CREATE_SESSION4args& args, const std::shared_ptr<Client>& client) {
  if ((args.csa_flags & ~kFlags) != 0) return NFS4ERR_INVAL;
  channel_attrs4 fore = args.csa_fore_chan_attrs;
  NFS_TRY(Negotiate(fore));
  NFS_TRY(CheckBack(args.csa_back_chan_attrs));
  BackChannelTerms back{
      .minor = c.minor,
      .program = {.number = args.csa_cb_program, .flavor = rpc::AUTH_NONE, .credential = {}},
      .usable = true,
      .wanted = (args.csa_flags & CREATE_SESSION4_FLAG_CONN_BACK_CHAN) != 0,
      .attributes = args.csa_back_chan_attrs};
  back.usable = ChooseSecurity(args.csa_sec_parms, back.program);
  back.attributes.ca_rdma_ird.clear();
  std::shared_ptr<Session> session;
  NFS_TRY(c.services.clients.CreateSession(client, c.principal(), fore, back, session));
  if (back.wanted && c.call.origin != nullptr) {
    client->callbacks->Bind(*session->back, c.call.origin->Channel());
    ProbePath(c, *client);
  }
  CREATE_SESSION4resok ok;
  ok.csr_sessionid = session->id;
  ok.csr_sequence = args.csa_sequence;
  ok.csr_flags = args.csa_flags & CREATE_SESSION4_FLAG_CONN_BACK_CHAN;
  ok.csr_fore_chan_attrs = fore;
  ok.csr_back_chan_attrs = back.attributes;
  Encode(c.to, ok);
  return NFS4_OK;
}

}  // namespace

nfsstat4 CreateSession(Compound& c, const CREATE_SESSION4args& args) {
  std::shared_ptr<Client> client = c.services.clients.Find(args.csa_clientid, c.identity());
  if (!client || !client->sessions_used || client->minor != c.minor) return NFS4ERR_STALE_CLIENTID;
  std::lock_guard lock(client->create_session_mutex);
  uint32_t next = client->create_session_sequence;
  bool again = args.csa_sequence == next - 1;
  if (again && client->create_session_status == NFS4_OK) {
    c.to.PutRaw(client->create_session_reply);
    return NFS4_OK;
  }
  // One that failed changed nothing, so the same number may try again with other arguments: clients
  // differ in whether they count it.
  bool retried = again && client->create_session_status != NFS4ERR_SEQ_MISORDERED;
  if (args.csa_sequence != next && !retried) return NFS4ERR_SEQ_MISORDERED;
  xdr::Encoder::Mark body_at = c.to.mark();
  nfsstat4 status = Run(c, args, client);
  if (status == NFS4ERR_STALE_CLIENTID || status == NFS4ERR_CLID_INUSE) return status;
  client->create_session_sequence = args.csa_sequence + 1;
  client->create_session_status = status;
  client->create_session_reply.clear();
  if (status == NFS4_OK) client->create_session_reply = c.to.Flatten(body_at);
  return status;
}

}  // namespace tarn::nfs4::ops
