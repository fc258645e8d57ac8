// A simulated client: it behaves as the RFCs want clients to, and asks for things at random.
//
// It has a few processes, each of which waits for one answer at a time; a process is an open owner
// and a lock owner, and has a slot of the session (4.1). What is not answered when the connection
// breaks is sent again. Recovery (client_recovery.cc) is one control request after the other.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/sim/simulation.h"

namespace tarn::sim {

struct OpenFile {
  Fh fh;
  stateid4 state{};
  uint32_t access = 0;
  uint32_t deny = 0;
  std::vector<Share> modes;  // of the OPENs that made it up
  std::optional<stateid4> lock_state;
  std::vector<LockRange> locks;
  std::vector<Op> unstable;  // written, not committed
  nfs4::verifier4 verifier{};
  bool to_confirm = false;  // 4.0
  bool closing = false;
};

struct Process {
  uint32_t number = 0;
  std::vector<OpenFile> files;
  std::deque<Op> todo;  // before anything new
  std::shared_ptr<Request> outstanding;
  bool waiting = false;  // an event will start its next operation
  uint32_t slot_sequence = 0;
  uint32_t open_seqid = 1;
  uint32_t lock_seqid = 1;
  OpenFile* Find(const Fh& fh);
};

class Client {
 public:
  Client(Simulation& simulation, Actor actor, uint32_t minor);
  void Start();
  void Answered(const std::shared_ptr<Request>& request, const std::vector<std::byte>& reply);
  void ConnectionLost(Simulation::ConnectionNo connection);
  // Has it recovered, and is nothing outstanding?
  bool Rests() const;
  std::string Where() const;
  Actor actor() const { return actor_; }

 private:
  enum class Phase { kIdentify, kConfirm, kReclaim, kComplete, kReady };

  // --- client.cc: requests and connections ---
  void Connect();
  void SendAgain();
  void Ask(Process& process, Op op);
  void Forget(Process& process);
  void Next(Process& process, bool wait = false);
  void Run(Process& process);
  void KeepAlive();
  void Trouble();
  void Reboot();
  // What the status says about the client as a whole; true: the request is void.
  bool Notice(const Request& request, const Answer& answer);

  // --- client_recovery.cc ---
  void Recover(Phase phase);
  void Control();
  void ControlAnswered(const Request& request, const Answer& answer);
  void BuildReclaims();
  void Reclaimed(const Op& op, const Answer& answer);

  // --- client_work.cc: what processes do ---
  std::optional<Op> Invent(Process& process);
  Op InventNames();
  Op InventOpen(Process& process);
  std::optional<Op> InventOnFile(Process& process, OpenFile& file);
  Op InventIo(OpenFile& file);
  Op InventLock(Process& process, OpenFile& file);
  Fh PickDirectory();
  Fh PickFile();
  std::string PickName();
  // Fills in what depends on the moment of asking. False: it makes no sense any more.
  bool Complete(Process& process, Op& op);
  void Done(Process& process, const Op& op, const Answer& answer);
  void DoneOpen(Process& process, const Op& op, const Answer& answer);
  void DoneData(Process& process, const Op& op, const Answer& answer);
  void DoneState(Process& process, const Op& op, const Answer& answer);
  void CountSeqid(Process& process, const Request& request, const Answer& answer);
  void Lose(Process& process, const Fh& fh);

  Simulation& simulation_;
  const Actor actor_;
  const uint32_t minor_;
  uint64_t boot_ = 1;
  Phase phase_ = Phase::kIdentify;
  Simulation::ConnectionNo connection_ = 0;
  bool connecting_ = false;
  bool cut_off_ = false;  // from the network
  uint64_t client_id_ = 0;
  uint64_t new_client_id_ = 0;
  uint32_t session_sequence_ = 0;
  nfs4::verifier4 confirm_{};
  nfs4::sessionid4 session_{};
  Process control_;  // number 0
  std::vector<Process> processes_;
  std::deque<Op> reclaims_;
  uint32_t reclaim_run_ = 0;  // of the server
  Time renewed_{};
  uint32_t next_xid_ = 0;
  uint32_t next_fill_ = 0;
};

}  // namespace tarn::sim
