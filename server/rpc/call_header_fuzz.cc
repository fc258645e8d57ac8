// The header of an RPC call, and the replies to what is none.
#include "common/fuzz.h"
#include "server/rpc/call_header.h"

using namespace tarn;       // NOLINT(google-build-using-namespace)
using namespace tarn::rpc;  // NOLINT(google-build-using-namespace)

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  xdr::Decoder from(std::as_bytes(std::span(data, size)));
  static CallHeader header;  // its memory is used again, as by the server
  rejected_reply denied;
  HeaderStatus status = ReadCallHeader(from, header, denied);
  FUZZ_REQUIRE(header.credential.gids.size() <= AUTH_SYS_GIDS_MAX);
  if (status == HeaderStatus::kNoCall) return 0;
  xdr::Encoder reply;
  BeginReply(reply, header.xid);
  if (status == HeaderStatus::kDenied) DenyReply(reply, header.xid, denied);
  FinishReply(reply);
  std::vector<std::byte> bytes = reply.Flatten();
  xdr::Decoder back(bytes);
  uint32_t mark = 0;
  rpc_msg message;
  FUZZ_REQUIRE(back.Get(mark) && (mark & 0x7fffffff) == back.remaining());
  FUZZ_REQUIRE(Decode(back, message) && message.xid == header.xid);
  return 0;
}
