#include "tests/bench/channel.h"

#include <cerrno>
#include <cstring>

namespace tarn::bench {
namespace {

using namespace nfs4;

constexpr uint32_t kLastFragment = 0x80000000;
constexpr size_t kMarkBytes = 4;
constexpr size_t kRecordBytesMax = (1 << 20) + 64 * 1024;
constexpr size_t kInBytes = 2 * kRecordBytesMax;
constexpr size_t kReadAhead = 64 * 1024;
constexpr size_t kOutBytesMax = 256 * 1024;
// SEQUENCE's arguments behind the count of operations: its number, session, sequence, slot.
constexpr size_t kSessionAt = 8;
constexpr size_t kSequenceAt = kSessionAt + 16;
constexpr size_t kSlotAt = kSequenceAt + 4;
// A reply: mark, xid, REPLY, accepted, verifier (flavor and length), SUCCESS, status.
constexpr size_t kXidAt = kMarkBytes;
constexpr size_t kAcceptAt = 6 * 4;
constexpr size_t kStatusAt = 7 * 4;

void Patch(std::byte* at, uint32_t value) {
  value = xdr::SwapBig(value);
  std::memcpy(at, &value, sizeof(value));
}

uint32_t WordAt(const std::byte* at) {
  uint32_t value = 0;
  std::memcpy(&value, at, sizeof(value));
  return xdr::SwapBig(value);
}

}  // namespace

nfs_client::CompoundReply Reply::Parse() const {
  nfs_client::RpcReply rpc;
  rpc.record.size = record.size() - kMarkBytes;
  rpc.record.data = std::make_unique_for_overwrite<std::byte[]>(rpc.record.size);
  std::memcpy(rpc.record.data.get(), record.data() + kMarkBytes, rpc.record.size);
  rpc.results = kStatusAt - kMarkBytes;
  return {std::move(rpc), true};
}

Channel::Channel(nfs_client::Client& client, uint32_t slots)
    : client_(client), slots_(slots), in_(kInBytes), sequences_(slots) {
  xdr::Encoder to;
  to.Put(uint32_t{0});  // mark
  to.Put(uint32_t{0});  // xid
  Encode(to, rpc::CALL);
  xdr::Encoder credential;
  Encode(credential, rpc::authsys_parms{.stamp = 1, .machinename = "bench"});
  auto body = credential.Flatten();
  Encode(to, rpc::call_body{.rpcvers = rpc::RPC_VERSION,
                            .prog = NFS4_PROGRAM,
                            .vers = NFS4_VERSION,
                            .proc = NFSPROC4_COMPOUND,
                            .cred = {.flavor = rpc::AUTH_SYS, .body = body},
                            .verf = {}});
  to.PutString("");
  to.Put(uint32_t{1});  // minor version
  count_at_ = to.size();
  to.Put(uint32_t{0});
  to.Put(static_cast<uint32_t>(OP_SEQUENCE));
  Encode(to, SEQUENCE4args{.sa_sessionid = client.session_id(),
                           .sa_sequenceid = 0,
                           .sa_slotid = 0,
                           .sa_highest_slotid = slots,
                           .sa_cachethis = false});
  head_ = to.Flatten();
}

bool Channel::Fail(std::string why) {
  problem_ = std::move(why);
  return false;
}

void Channel::Post(uint32_t slot, const nfs_client::Compound& compound) {
  size_t start = out_.size();
  out_.insert(out_.end(), head_.begin(), head_.end());
  pieces_.clear();
  compound.ops().Gather(pieces_);
  for (const iovec& piece : pieces_) {
    const auto* bytes = static_cast<const std::byte*>(piece.iov_base);
    out_.insert(out_.end(), bytes, bytes + piece.iov_len);
  }
  std::byte* call = out_.data() + start;
  Patch(call, kLastFragment | static_cast<uint32_t>(out_.size() - start - kMarkBytes));
  Patch(call + kXidAt, slot);
  Patch(call + count_at_, compound.count() + 1);
  Patch(call + count_at_ + kSequenceAt, ++sequences_[slot]);
  Patch(call + count_at_ + kSlotAt, slot + 1);
  if (out_.size() > kOutBytesMax) (void)Flush();
}

bool Channel::Flush() {
  if (!out_.empty()) {
    pieces_.assign(1, {out_.data(), out_.size()});
    if (!client_.connection().Write(pieces_)) {
      return Fail(std::string("send: ") + std::strerror(errno));
    }
  }
  out_.clear();
  return problem_.empty();
}

size_t Channel::RecordSize() const {
  if (to_ - from_ < kMarkBytes) return 0;
  size_t size = kMarkBytes + (WordAt(in_.data() + from_) & ~kLastFragment);
  return size <= to_ - from_ ? size : 0;
}

bool Channel::ReceiveMore() {
  if (from_ > 0) std::memmove(in_.data(), in_.data() + from_, to_ - from_);
  to_ -= from_;
  from_ = 0;
  // Not much more than the record that has begun: what comes after it would have to be moved.
  size_t wanted = kReadAhead;
  if (to_ >= kMarkBytes) wanted += (WordAt(in_.data()) & ~kLastFragment) - to_;
  wanted = std::min(wanted, in_.size() - to_);
  ssize_t got = client_.connection().Read(in_.data() + to_, wanted);
  if (got < 0 && errno == EINTR) return true;
  if (got <= 0) return Fail("the server closed the connection, or said nothing for too long");
  to_ += static_cast<size_t>(got);
  return true;
}

bool Channel::Receive(Reply& reply) {
  while (RecordSize() == 0) {
    if (!out_.empty() && !Flush()) return false;
    if (!ReceiveMore()) return false;
  }
  size_t size = RecordSize();
  const std::byte* record = in_.data() + from_;
  from_ += size;
  bool whole = (WordAt(record) & kLastFragment) != 0 && size >= kStatusAt + 4 &&
               WordAt(record + kAcceptAt) == static_cast<uint32_t>(rpc::SUCCESS);
  if (!whole) return Fail("the server sent something that is no RPC reply, or in fragments");
  reply.slot = WordAt(record + kXidAt);
  if (reply.slot >= slots_) return Fail("the server answered what nobody asked");
  reply.status = static_cast<nfsstat4>(WordAt(record + kStatusAt));
  reply.record = {record, size};
  return true;
}

}  // namespace tarn::bench
