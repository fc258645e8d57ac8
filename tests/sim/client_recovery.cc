// How a client makes itself known, and gets back what it had after a restart of the server.
#include <algorithm>

#include "tests/sim/client.h"

namespace tarn::sim {

using namespace nfs4;
using namespace std::chrono_literals;

void Client::Recover(Phase phase) {
  phase_ = phase;
  reclaims_.clear();
  if (phase == Phase::kReclaim) BuildReclaims();
  if (!control_.outstanding) Control();
}

void Client::BuildReclaims() {
  reclaims_.clear();
  reclaim_run_ = simulation_.run();
  phase_ = Phase::kReclaim;
  for (Process& process : processes_) {
    for (const OpenFile& file : process.files) {
      if (file.closing) continue;
      Op open;
      open.kind = Kind::kOpen;
      open.file = file.fh;
      open.owner = process.number;
      open.access = file.access;
      open.deny = file.deny;
      open.reclaim = true;
      reclaims_.push_back(open);
      for (const LockRange& range : file.locks) {
        Op lock;
        lock.kind = Kind::kLock;
        lock.file = file.fh;
        lock.owner = process.number;
        lock.offset = range.first;
        lock.count = range.last - range.first + 1;
        lock.write_lock = range.write;
        lock.reclaim = true;
        reclaims_.push_back(lock);
      }
    }
    for (OpenFile& file : process.files) file.lock_state.reset();
  }
}

void Client::Control() {
  Op op;
  op.client_owner = "sim-client-" + std::to_string(actor_);
  switch (phase_) {
    case Phase::kIdentify:
      op.kind = minor_ == 0 ? Kind::kSetClientId : Kind::kExchangeId;
      op.verifier = boot_;
      return Ask(control_, op);
    case Phase::kConfirm:
      op.kind = minor_ == 0 ? Kind::kConfirmClientId : Kind::kCreateSession;
      op.client_id = new_client_id_;
      op.session_sequence = session_sequence_;
      op.confirm = confirm_;
      return Ask(control_, op);
    case Phase::kReclaim:
      while (!reclaims_.empty()) {
        Op reclaim = reclaims_.front();
        reclaims_.pop_front();
        Process& process = processes_[reclaim.owner - 1];
        if (Complete(process, reclaim)) return Ask(control_, reclaim);
      }
      phase_ = minor_ == 0 ? Phase::kReady : Phase::kComplete;
      return Control();
    case Phase::kComplete:
      op.kind = Kind::kReclaimComplete;
      return Ask(control_, op);
    case Phase::kReady:
      return;
  }
}

void Client::ControlAnswered(const Request& request, const Answer& answer) {
  const Op& op = request.op;
  bool ok = answer.status == NFS4_OK;
  bool wait = answer.status == NFS4ERR_DELAY || answer.status == NFS4ERR_GRACE;
  switch (op.kind) {
    case Kind::kExchangeId:
    case Kind::kSetClientId:
      if (ok) {
        new_client_id_ = answer.client_id;
        session_sequence_ = answer.session_sequence;
        confirm_ = answer.verifier;
        phase_ = Phase::kConfirm;
      }
      break;
    case Kind::kCreateSession:
    case Kind::kConfirmClientId: {
      phase_ = Phase::kIdentify;
      if (!ok) break;
      bool another = client_id_ != new_client_id_;
      client_id_ = new_client_id_;
      session_ = answer.session;
      control_.slot_sequence = 0;
      if (another) {
        for (Process& process : processes_) process.open_seqid = process.lock_seqid = 1;
        Recover(Phase::kReclaim);
        return;
      }
      phase_ = Phase::kReady;
      break;
    }
    case Kind::kOpen:
    case Kind::kLock:
      if (!wait) Reclaimed(op, answer);
      if (wait) reclaims_.push_front(op);
      break;
    case Kind::kReclaimComplete:
      if (phase_ == Phase::kComplete) phase_ = Phase::kReady;
      break;
    default:
      break;
  }
  if (phase_ == Phase::kReady) {
    for (Process& process : processes_) {
      if (!process.outstanding) Next(process);
    }
    return;
  }
  if (control_.outstanding) return;  // the answer's flags have begun a recovery already
  if (ok) return Control();
  simulation_.At(500ms, [this] {
    if (!control_.outstanding) Control();
  });
}

void Client::Reclaimed(const Op& op, const Answer& answer) {
  Process& process = processes_[op.owner - 1];
  OpenFile* file = process.Find(op.file);
  if (file == nullptr) return;
  if (answer.status == NFS4_OK) {
    if (op.kind == Kind::kLock) file->lock_state = answer.state;
    if (op.kind == Kind::kOpen) {
      file->state = answer.state;
      file->to_confirm = false;  // a reclaim confirms
      file->modes = {{op.access, op.deny, {}}};
      ++simulation_.counts().reclaimed;
    }
    return;
  }
  if (op.kind == Kind::kOpen || answer.status == NFS4ERR_STALE) return Lose(process, op.file);
  std::erase_if(file->locks, [&](const LockRange& one) { return one.first == op.offset; });
}

}  // namespace tarn::sim
