// The header of an RPC call and of its reply (RFC 5531 sections 8, 9 and appendix A).
#pragma once

#include "server/rpc/program.h"

namespace tarn::rpc {

struct CallHeader {
  uint32_t xid = 0;
  uint32_t program = 0;
  uint32_t version = 0;
  uint32_t procedure = 0;
  Credential credential;
};

enum class HeaderStatus {
  kCall,    // `header` is filled, `from` stands at the arguments
  kDenied,  // `denied` is the reply to give
  kNoCall,  // these bytes are no RPC call at all
};

// Reads one call header. AUTH_NONE and AUTH_SYS are understood; other flavors are
// AUTH_REJECTEDCRED, bodies that break their format AUTH_BADCRED or AUTH_BADVERF. `header` may be
// used again; its memory is.
HeaderStatus ReadCallHeader(xdr::Decoder& from, CallHeader& header, rejected_reply& denied);

// Starts a reply with an empty record mark and SUCCESS, to be put right by the functions below.
void BeginReply(xdr::Encoder& reply, uint32_t xid);
// Replaces whatever came after BeginReply. `mismatch` is used with PROG_MISMATCH only.
void FailReply(xdr::Encoder& reply, uint32_t xid, accept_stat stat, version_range mismatch = {});
void DenyReply(xdr::Encoder& reply, uint32_t xid, const rejected_reply& denied);
// Writes the record mark: one fragment of all that was appended.
void FinishReply(xdr::Encoder& reply);

}  // namespace tarn::rpc
