#include "server/rpc/call_header.h"

namespace tarn::rpc {
namespace {

constexpr uint32_t kLastFragment = 0x80000000;

HeaderStatus Deny(rejected_reply& denied, auth_stat why) {
  denied.stat = AUTH_ERROR;
  denied.why = why;
  return HeaderStatus::kDenied;
}

// AUTH_SYS's body, without a copy of the machine's name and into memory that is used again.
bool ReadAuthSys(xdr::Opaque body, Credential& credential) {
  xdr::Decoder from(body);
  uint32_t stamp = 0;
  uint32_t count = 0;
  std::string_view machine;
  bool ok = from.Get(stamp) && from.GetString(machine, MACHINE_NAME_BYTES_MAX) &&
            from.Get(credential.uid) && from.Get(credential.gid) &&
            from.GetCount(count, AUTH_SYS_GIDS_MAX);
  if (!ok) return false;
  credential.gids.resize(count);
  for (uint32_t& gid : credential.gids) {
    if (!from.Get(gid)) return false;
  }
  return from.remaining() == 0;
}

}  // namespace

HeaderStatus ReadCallHeader(xdr::Decoder& from, CallHeader& header, rejected_reply& denied) {
  msg_type type{};
  uint32_t rpc_version = 0;
  if (!from.Get(header.xid) || !Decode(from, type) || type != CALL || !from.Get(rpc_version)) {
    return HeaderStatus::kNoCall;
  }
  if (rpc_version != RPC_VERSION) {
    denied.stat = RPC_MISMATCH;
    denied.mismatch_info = {.low = RPC_VERSION, .high = RPC_VERSION};
    return HeaderStatus::kDenied;
  }
  if (!from.Get(header.program) || !from.Get(header.version) || !from.Get(header.procedure)) {
    return HeaderStatus::kNoCall;
  }
  opaque_auth credential;
  opaque_auth verifier;
  if (!Decode(from, credential)) return Deny(denied, AUTH_BADCRED);
  if (!Decode(from, verifier)) return Deny(denied, AUTH_BADVERF);
  const Credential nobody;
  header.credential.flavor = credential.flavor;
  header.credential.uid = nobody.uid;
  header.credential.gid = nobody.gid;
  header.credential.gids.clear();
  switch (credential.flavor) {
    case AUTH_NONE:
      if (!credential.body.empty()) return Deny(denied, AUTH_BADCRED);
      break;
    case AUTH_SYS:
      if (!ReadAuthSys(credential.body, header.credential)) return Deny(denied, AUTH_BADCRED);
      break;
    case AUTH_TLS:  // RFC 9289 section 4.1: where it is no question that we take
      return Deny(denied, AUTH_BADCRED);
    default:
      return Deny(denied, AUTH_REJECTEDCRED);
  }
  if (verifier.flavor != AUTH_NONE || !verifier.body.empty()) return Deny(denied, AUTH_BADVERF);
  return HeaderStatus::kCall;
}

void BeginReply(xdr::Encoder& reply, uint32_t xid) {
  FailReply(reply, xid, SUCCESS);
}

void FailReply(xdr::Encoder& reply, uint32_t xid, accept_stat stat, version_range mismatch) {
  reply.Clear();
  reply.Put(uint32_t{0});  // the record mark
  reply.Put(xid);
  Encode(reply, REPLY);
  Encode(reply, MSG_ACCEPTED);
  Encode(reply, AUTH_NONE);
  reply.Put(uint32_t{0});
  Encode(reply, stat);
  if (stat == PROG_MISMATCH) Encode(reply, mismatch);
}

void DenyReply(xdr::Encoder& reply, uint32_t xid, const rejected_reply& denied) {
  reply.Clear();
  reply.Put(uint32_t{0});  // the record mark
  reply.Put(xid);
  Encode(reply, REPLY);
  Encode(reply, MSG_DENIED);
  Encode(reply, denied);
}

void FinishReply(xdr::Encoder& reply) {
  uint32_t size = static_cast<uint32_t>(reply.size() - sizeof(uint32_t));
  reply.PatchU32({0, 0, 0}, kLastFragment | size);
}

}  // namespace tarn::rpc
