// SEQUENCE (RFC 8881 section 18.46): exactly-once semantics of a session's requests.
#include "server/nfs4/ops/state_ops.h"

namespace tarn::nfs4::ops {
namespace {

nfsstat4 ToStatus(Session::Turn turn) {
  switch (turn) {
    case Session::Turn::kBusy:
      return NFS4ERR_DELAY;
    case Session::Turn::kMisordered:
      return NFS4ERR_SEQ_MISORDERED;
    case Session::Turn::kFalseRetry:
      return NFS4ERR_SEQ_FALSE_RETRY;
    case Session::Turn::kBadSlot:
      return NFS4ERR_BADSLOT;
    default:
      return NFS4_OK;
  }
}

uint32_t StatusFlags(const Session& session) {
  const Client& client = *session.client;
  uint32_t flags = 0;
  if (client.MustBeToldOfRestart()) flags |= SEQ4_STATUS_RESTART_RECLAIM_NEEDED;
  if (client.callbacks->path_down()) flags |= SEQ4_STATUS_CB_PATH_DOWN;
  if (session.back->down) flags |= SEQ4_STATUS_CB_PATH_DOWN_SESSION;
  if (session.back->fault) flags |= SEQ4_STATUS_BACKCHANNEL_FAULT;
  if (client.revoked > 0) flags |= SEQ4_STATUS_RECALLABLE_STATE_REVOKED;
  return flags;
}

}  // namespace

nfsstat4 Sequence(Compound& c, const SEQUENCE4args& args) {
  auto session = c.services.clients.FindSession(args.sa_sessionid, c.identity());
  if (!session || session->dead || session->client->minor != c.minor) return NFS4ERR_BADSESSION;
  if (args.sa_slotid >= session->slot_count()) return NFS4ERR_BADSLOT;
  if (args.sa_highest_slotid < args.sa_slotid) return NFS4ERR_BAD_HIGH_SLOT;
  if (c.operations > session->fore.ca_maxoperations) return NFS4ERR_TOO_MANY_OPS;
  if (c.request_bytes() > session->fore.ca_maxrequestsize) return NFS4ERR_REQ_TOO_BIG;
  if (args.sa_cachethis && !session->MayCache()) return NFS4ERR_DELAY;
  c.StartFingerprintHere();
  std::vector<std::byte> reply;
  Session::Turn turn = session->Begin(args.sa_slotid, args.sa_sequenceid, c.Fingerprint(), reply);
  NFS_TRY(ToStatus(turn));
  c.services.clients.Renew(*session->client);
  c.services.clients.Adopt(*session->client, c.call.peer);
  if (turn == Session::Turn::kReplay) {
    c.ReplaceReply(reply);
    return NFS4_OK;
  }
  c.may_be_of_last_run = turn == Session::Turn::kRunFirst;
  if (turn == Session::Turn::kRun || c.may_be_of_last_run) {
    c.RunInSlot(args.sa_slotid, args.sa_sequenceid, args.sa_cachethis);
  }
  c.session = session;
  c.client = session->client;
  uint32_t flags = StatusFlags(*session);
  // SEQUENCE4resok, whose flags may be changed in the end.
  c.to.PutFixed(args.sa_sessionid);
  c.to.Put(args.sa_sequenceid);
  c.to.Put(args.sa_slotid);
  c.to.Put(session->slot_count() - 1);
  c.to.Put(session->Resize(args.sa_highest_slotid));
  if ((flags & SEQ4_STATUS_RESTART_RECLAIM_NEEDED) != 0) c.TellsOfRestart(flags);
  c.to.Put(flags);
  return NFS4_OK;
}

}  // namespace tarn::nfs4::ops
