#include "tests/nfs/client/compound.h"

namespace tarn::nfs_client {

xdr::Encoder Compound::Head(uint32_t minor, const nfs4::SEQUENCE4args* sequence) const {
  xdr::Encoder head;
  head.PutString(tag_);
  head.Put(minor);
  head.Put(count_ + (sequence != nullptr ? 1 : 0));
  if (sequence != nullptr) {
    head.Put(static_cast<uint32_t>(nfs4::OP_SEQUENCE));
    Encode(head, *sequence);
  }
  return head;
}

CompoundReply::CompoundReply(RpcReply rpc, bool with_sequence) : rpc_(std::move(rpc)) {
  if (rpc_.denied || rpc_.stat != rpc::SUCCESS) return;
  xdr::Decoder from(rpc_.body());
  nfs4::COMPOUND4res decoded;
  if (!Decode(from, decoded) || from.remaining() != 0) {
    rpc_.stat = rpc::GARBAGE_ARGS;
    return;
  }
  status = decoded.status;
  tag_ = decoded.tag;
  results_ = std::move(decoded.resarray);
  if (with_sequence && !results_.empty() && results_.front().resop == nfs4::OP_SEQUENCE) {
    sequence_ = std::get<nfs4::SEQUENCE4res>(results_.front().u);
    results_.erase(results_.begin());
  }
}

}  // namespace tarn::nfs_client
