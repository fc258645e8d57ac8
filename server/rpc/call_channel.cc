#include "server/rpc/call_channel.h"

#include "server/rpc/call_header.h"
#include "server/rpc/connection.h"

namespace tarn::rpc {

bool CallChannel::Send(const Request& request) {
  std::lock_guard lock(mutex_);
  if (connection_ == nullptr || pending_.size() >= kPendingMax) return false;
  while (next_xid_ == 0 || pending_.contains(next_xid_)) ++next_xid_;
  uint32_t xid = next_xid_++;
  Reply call;
  call.bytes.Put(uint32_t{0});  // the record mark
  call.bytes.Put(xid);
  Encode(call.bytes, CALL);
  Encode(call.bytes, call_body{.rpcvers = RPC_VERSION,
                               .prog = request.program,
                               .vers = request.version,
                               .proc = request.procedure,
                               .cred = {.flavor = request.flavor, .body = request.credential},
                               .verf = {}});
  call.bytes.PutRaw(request.arguments);
  FinishReply(call.bytes);
  // First, since the answer may come before Send returns.
  pending_.emplace(xid, Pending{Monotonic::now() + request.timeout, request.done});
  std::vector<iovec> pieces;
  connection_->Send(call, pieces);
  return true;
}

bool CallChannel::open() {
  std::lock_guard lock(mutex_);
  return connection_ != nullptr;
}

void CallChannel::Close() {
  std::lock_guard lock(mutex_);
  if (connection_ != nullptr) connection_->Kick();
}

bool CallChannel::TakeReply(xdr::Opaque record) {
  xdr::Decoder from(record);
  uint32_t xid = 0;
  msg_type type{};
  reply_body body;
  if (!from.Get(xid) || !Decode(from, type) || type != REPLY || !Decode(from, body)) return false;
  Done done;
  {
    std::lock_guard lock(mutex_);
    auto found = pending_.find(xid);
    if (found == pending_.end()) return true;
    done = std::move(found->second.done);
    pending_.erase(found);
  }
  bool good = body.stat == MSG_ACCEPTED && body.areply.reply_data.stat == SUCCESS;
  done(good ? CallOutcome::kReply : CallOutcome::kRefused, good ? from.rest() : xdr::Opaque());
  return true;
}

void CallChannel::Expire(std::chrono::steady_clock::time_point now) {
  std::vector<Done> late;
  {
    std::lock_guard lock(mutex_);
    std::erase_if(pending_, [&](auto& one) {
      if (one.second.deadline > now) return false;
      late.push_back(std::move(one.second.done));
      return true;
    });
  }
  for (const Done& done : late) done(CallOutcome::kNoAnswer, {});
}

void CallChannel::Detach() {
  std::unordered_map<uint32_t, Pending> left;
  {
    std::lock_guard lock(mutex_);
    connection_ = nullptr;
    left.swap(pending_);
  }
  for (const auto& [xid, pending] : left) pending.done(CallOutcome::kClosed, {});
}

}  // namespace tarn::rpc
