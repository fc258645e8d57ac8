#include "tests/nfs/client/compound.h"

#include "tests/nfs/client/attributes.h"

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

Compound& Compound::OpenNew(const Fh& directory, std::string_view owner, std::string_view name) {
  SetAttributes set;
  set.mode = 0644;
  EncodedAttributes attributes(set);
  nfs4::OPEN4args open{.seqid = 0,
                       .share_access = nfs4::OPEN4_SHARE_ACCESS_BOTH,
                       .share_deny = 0,
                       .owner = {.clientid = 0, .owner = std::as_bytes(std::span(owner))},
                       .openhow = {.opentype = nfs4::OPEN4_CREATE, .how = {}},
                       .claim = {}};
  open.openhow.how.createattrs = attributes.view();
  open.claim.file = name;
  return Put(directory).Add(nfs4::OP_OPEN, open).GetFh().GetAttr(UsualAttributes());
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
