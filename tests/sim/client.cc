#include "tests/sim/client.h"

#include <algorithm>

namespace tarn::sim {

using namespace nfs4;
using namespace std::chrono_literals;

namespace {

constexpr uint32_t kProcessesMax = 3;

bool AsksForRecovery40(nfsstat4 status) {
  return status == NFS4ERR_STALE_CLIENTID || status == NFS4ERR_STALE_STATEID ||
         status == NFS4ERR_EXPIRED;
}

}  // namespace

OpenFile* Process::Find(const Fh& fh) {
  auto found =
      std::find_if(files.begin(), files.end(), [&](const OpenFile& file) { return file.fh == fh; });
  return found == files.end() ? nullptr : &*found;
}

Client::Client(Simulation& simulation, Actor actor, uint32_t minor)
    : simulation_(simulation), actor_(actor), minor_(minor) {
  processes_.resize(simulation.random().Between(1, kProcessesMax));
  for (uint32_t at = 0; at < processes_.size(); ++at) processes_[at].number = at + 1;
  next_xid_ = actor * 1'000'000;
  next_fill_ = actor * 1'000'000;
}

void Client::Start() {
  Connect();
  Recover(Phase::kIdentify);
  simulation_.At(10s, [this] { KeepAlive(); });
  simulation_.At(std::chrono::seconds(simulation_.random().Between(5, 200)), [this] { Trouble(); });
}

void Client::Connect() {
  connecting_ = false;
  if (connection_ != 0) return;
  if (!cut_off_) connection_ = simulation_.Connect(*this);
  if (connection_ == 0) {
    connecting_ = true;
    simulation_.At(std::chrono::milliseconds(simulation_.random().Between(5, 1000)),
                   [this] { Connect(); });
    return;
  }
  // What was reclaimed from a server that has restarted since is to be reclaimed again. (That one
  // knows is a liberty of the simulation: a real client learns it from stale stateids.)
  bool again = phase_ == Phase::kReclaim || phase_ == Phase::kComplete;
  if (again && reclaim_run_ != simulation_.run()) BuildReclaims();
  SendAgain();
}

void Client::SendAgain() {
  if (control_.outstanding) simulation_.Send(connection_, control_.outstanding);
  for (Process& process : processes_) {
    if (process.outstanding) simulation_.Send(connection_, process.outstanding);
  }
}

void Client::ConnectionLost(Simulation::ConnectionNo connection) {
  if (connection != connection_) return;
  connection_ = 0;
  if (!connecting_) Connect();
}

bool Client::Rests() const {
  bool resting = phase_ == Phase::kReady && !control_.outstanding;
  return resting && std::none_of(processes_.begin(), processes_.end(), [](const Process& one) {
           return one.outstanding || one.waiting || !one.todo.empty();
         });
}

std::string Client::Where() const {
  std::string text = "c" + std::to_string(actor_) + " of minor version " + std::to_string(minor_) +
                     " in phase " + std::to_string(static_cast<int>(phase_));
  if (control_.outstanding) text += ", waits for " + simulation_.Text(*control_.outstanding);
  for (const Process& process : processes_) {
    if (process.outstanding) text += ", waits for " + simulation_.Text(*process.outstanding);
  }
  return text;
}

void Client::Ask(Process& process, Op op) {
  auto request = std::make_shared<Request>();
  request->number = simulation_.NextNumber();
  request->actor = actor_;
  request->process = process.number;
  request->minor = minor_;
  request->xid = ++next_xid_;
  request->client_id = client_id_;
  bool large = op.kind == Kind::kRead || op.kind == Kind::kReaddir;
  request->cached = !large;
  if (minor_ >= 1 && InSession(op.kind)) {
    request->sequence = SEQUENCE4args{.sa_sessionid = session_,
                                      .sa_sequenceid = ++process.slot_sequence,
                                      .sa_slotid = process.number,
                                      .sa_highest_slotid = kProcessesMax,
                                      .sa_cachethis = !large};
  }
  request->op = std::move(op);
  process.outstanding = request;
  if (connection_ != 0) simulation_.Send(connection_, request);
}

// The client gives up on what it has asked for: its session or its life has ended.
void Client::Forget(Process& process) {
  process.outstanding.reset();
  process.slot_sequence = 0;
}

void Client::Answered(const std::shared_ptr<Request>& request,
                      const std::vector<std::byte>& reply) {
  Process* process = &control_;
  for (Process& one : processes_) {
    if (one.number == request->process) process = &one;
  }
  if (process->outstanding != request) return;  // given up
  request->answered = true;
  process->outstanding.reset();
  Answer answer = Parse(reply, request->sequence.has_value());
  if (answer.sequence == NFS4_OK) renewed_ = simulation_.now();
  CountSeqid(*process, *request, answer);
  if (Notice(*request, answer)) return;
  if (process == &control_) return ControlAnswered(*request, answer);
  bool wait = answer.status == NFS4ERR_GRACE || answer.status == NFS4ERR_DELAY;
  bool again = answer.status == NFS4ERR_RETRY_UNCACHED_REP;
  if (wait || again) {
    process->todo.push_front(request->op);
  } else {
    Done(*process, request->op, answer);
  }
  Next(*process, wait);
}

bool Client::Notice(const Request& request, const Answer& answer) {
  if (answer.sequence != NFS4_OK) {
    // Whatever is in the slots of the session will not be answered.
    Forget(control_);
    for (Process& process : processes_) {
      bool idle = !process.outstanding;
      Forget(process);
      if (!idle || process.number == request.process) Next(process);
    }
    Recover(Phase::kIdentify);
    return true;
  }
  bool must_reclaim = (answer.flags & SEQ4_STATUS_RESTART_RECLAIM_NEEDED) != 0;
  if (must_reclaim && phase_ == Phase::kReady) Recover(Phase::kReclaim);
  bool stale = minor_ == 0 && AsksForRecovery40(answer.status) && InSession(request.op.kind);
  if (stale && request.client_id == client_id_ && phase_ != Phase::kIdentify &&
      phase_ != Phase::kConfirm) {
    Recover(Phase::kIdentify);
    if (request.process == 0) return true;
  }
  return false;
}

void Client::Next(Process& process, bool wait) {
  if (process.waiting) return;
  process.waiting = true;
  bool soon = !wait && simulation_.random().Chance(700);
  uint64_t think_us = simulation_.random().Below(soon ? 2000 : 1'000'000);
  if (wait) think_us += 1'000'000;
  uint32_t number = process.number;
  uint64_t boot = boot_;
  simulation_.At(std::chrono::microseconds(think_us), [this, number, boot] {
    if (boot == boot_) Run(processes_[number - 1]);
  });
}

void Client::Run(Process& process) {
  process.waiting = false;
  if (process.outstanding) return;
  if (phase_ != Phase::kReady) {
    if (!process.todo.empty() || !simulation_.quiet()) {
      process.waiting = true;
      uint32_t number = process.number;
      uint64_t boot = boot_;
      simulation_.At(200ms, [this, number, boot] {
        if (boot == boot_) Run(processes_[number - 1]);
      });
    }
    return;
  }
  while (!process.todo.empty()) {
    Op op = std::move(process.todo.front());
    process.todo.pop_front();
    if (Complete(process, op)) return Ask(process, op);
  }
  if (simulation_.quiet()) return;
  auto op = Invent(process);
  if (op && Complete(process, *op)) return Ask(process, *op);
  Next(process);
}

void Client::KeepAlive() {
  bool due = simulation_.now() - renewed_ >= kLease / 3;
  if (due && phase_ == Phase::kReady && !control_.outstanding) {
    Op op;
    op.kind = Kind::kRenew;
    op.client_id = client_id_;
    Ask(control_, op);
  }
  simulation_.At(5s, [this] { KeepAlive(); });
}

// Now and then a client is cut off from the network, or starts anew.
void Client::Trouble() {
  if (simulation_.quiet()) return;
  Random& random = simulation_.random();
  if (random.Chance(400)) {
    Reboot();
  } else {
    simulation_.Note("c" + std::to_string(actor_) + " is cut off");
    cut_off_ = true;
    if (connection_ != 0) simulation_.Close(connection_);
    ConnectionLost(connection_);
    simulation_.At(std::chrono::seconds(random.Between(1, 100)), [this] { cut_off_ = false; });
  }
  simulation_.At(std::chrono::seconds(random.Between(5, 300)), [this] { Trouble(); });
}

void Client::Reboot() {
  simulation_.Note("c" + std::to_string(actor_) + " reboots");
  ++simulation_.counts().reboots;
  ++boot_;
  if (connection_ != 0) simulation_.Close(connection_);
  connection_ = 0;
  client_id_ = 0;
  Forget(control_);
  for (Process& process : processes_) {
    uint32_t number = process.number;
    process = {};
    process.number = number;
  }
  if (!connecting_) Connect();
  Recover(Phase::kIdentify);
}

}  // namespace tarn::sim
