// The model of the whole server: for each request that the server executes, in the order in which
// it executes them, what its answer may be, and what it changes.
//
// Rules beyond those of single operations:
//  - A request that is executed again (sent again over a new connection, or late) changes nothing
//    and gets the same answer; over a restart too, where vfs::ReplayTag promises it.
//  - What was answered is there after a restart; unstable data may be gone, with a new verifier.
//  - Opens and locks exclude each other; who held them when the server died gets them back.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/held.h"
#include "tests/sim/op.h"
#include "tests/sim/tree.h"

namespace tarn::sim {

using Time = std::chrono::nanoseconds;
inline constexpr std::chrono::seconds kLease{30};

// One request of a client, however often it is sent.
struct Request {
  uint64_t number = 0;
  Actor actor = 0;
  uint32_t process = 0;
  uint32_t minor = 0;
  uint32_t xid = 0;
  Op op;
  uint64_t client_id = 0;  // of the client when it asked
  std::optional<nfs4::SEQUENCE4args> sequence;
  bool cached = true;     // the session is to keep the reply
  bool answered = false;  // the client has seen an answer
  // What the model knows of it:
  bool executed = false;
  bool done = false;    // the engine has it under its ReplayTag
  bool failed = false;  // the last execution met an error of the disk
  uint32_t run = 0;     // of the server, the last that executed it
  Time executed_at{};
  Answer first;
  std::vector<std::byte> reply;
  Answer seen;      // of the last execution
  FileNo made = 0;  // by its first execution
};

struct Context {
  Time now{};
  uint32_t run = 0;
  bool grace = false;   // when it began
  Time end{};           // a slow disk takes time
  bool faulty = false;  // calls of the disk failed in it
  bool full = false;    // there may be no room to grow
};

class Model {
 public:
  // Judges an execution and follows it. Not empty: what is wrong with the answer.
  std::string Executed(Request& request, const std::vector<std::byte>& reply,
                       const Context& context);
  // It met an error of the disk: the trees that it may have left, the one without it first; and
  // which of them is there. The disk itself may still have the tree of before.
  std::vector<Tree> OutcomesOf(const Request& request);
  void Failed(const std::shared_ptr<Request>& request, Tree found, bool done);
  // So many bytes are in the file of a write that failed. False: that cannot be.
  bool FailedWrite(const Request& request, uint64_t bytes, uint64_t change);
  // Calls of the disk failed in the server's maintenance.
  void FailedMaintenance();
  // The write verifier has changed.
  void NextEpoch() { ++tree.epoch; }
  // The server died in the middle of it: adds the trees that it may have left.
  void CutOff(Request& request, std::vector<Tree>& outcomes, const Context& context);
  void Died();  // before what is left is looked at
  // It may have ended the grace period before, or a part of that.
  void DiedInMaintenance();
  // `disk_failed`: in the run that ended.
  void Restarted(Time now, bool disk_failed);
  // What changes that failed have perhaps left on the disk, the newest first.
  std::vector<Tree> Undone() const;
  // After a restart the tree was the so manieth of these: 0 none.
  void Adopt(size_t undone);
  void EndGrace();
  // Must the grace period be going on?
  bool GraceDue() const;
  // Of its outcomes, this one is there, which is not the first: it was done.
  void Done(Request& request, Tree found);

  Tree tree;
  Held held;

 private:
  using Statuses = std::set<nfsstat4>;
  struct Client {
    uint64_t id = 0;  // confirmed; 0: none
    uint32_t minor = 0;
    nfs4::sessionid4 session{};
    bool complete = false;    // RECLAIM_COMPLETE
    bool unsure = false;      // a crash cut off what made it
    bool lost = false;        // the server dropped it
    bool maybe_lost = false;  // it was expired and in the way of something that was denied still
    Time renewed_least{};
    Time renewed_most{};
  };
  // What an operation may answer. `must` empty: NFS4_OK.
  struct Verdict {
    Statuses must;
    Statuses may;
    void Must(nfsstat4 status) { must.insert(status); }
    void May(nfsstat4 status) { may.insert(status); }
    void May(const Statuses& statuses) { may.insert(statuses.begin(), statuses.end()); }
  };

  // --- model.cc ---
  std::string Again(Request& request, const Answer& answer, const std::vector<std::byte>& reply);
  std::string Again40(Request& request, const Answer& answer, const std::vector<std::byte>& reply);
  std::string Redone(Request& request, const Answer& answer);
  void NoteSync(const Request& request, const Answer& answer);
  std::string CheckSession(const Request& request, const Answer& answer);
  std::string Judge(Request& request, const Answer& answer);
  bool Changes(const Op& op) const;
  void NoteRenewal(const Request& request, const Answer& answer);
  bool MayBeExpired(Actor actor) const;
  bool SurelyExpired(Actor actor) const;
  bool MayBeDropped(Actor actor) const;
  // Those in the way of what was granted: all must be expired, and are dropped.
  std::string DropExpired(const std::set<Actor>& actors);
  void Drop(Actor actor);
  void Unpin(FileNo file);
  void AddDone(const Op& op, std::vector<Tree>& outcomes) const;
  // `status` if one of those in the way is there still.
  void Conflict(Actor self, const std::set<Actor>& others, nfsstat4 status, Verdict& verdict) const;

  void MakeUnsure(Actor actor);
  void MakeFilesUnsure(Actor actor);

  // --- expect.cc: what may be answered ---
  Verdict Expect(const Request& request);
  FileNo Locate(const Fh& fh, Verdict& verdict) const;
  void ExpectNames(const Op& op, FileNo file, Verdict& verdict);
  void ExpectRename(const Op& op, FileNo from, Verdict& verdict);
  void ExpectLink(const Op& op, FileNo file, Verdict& verdict);
  void ExpectData(const Request& request, FileNo file, Verdict& verdict);
  void ExpectOpen(const Request& request, FileNo file, Verdict& verdict);
  void ExpectReclaim(const Request& request, bool was_held, Verdict& verdict);
  void ExpectState(const Request& request, FileNo file, Verdict& verdict);
  void ExpectLock(const Request& request, FileNo file, Verdict& verdict);
  void ExpectOwnState(const Request& request, FileNo file, Verdict& verdict);
  void ExpectIdentity(const Request& request, Verdict& verdict);

  // --- effects.cc: what it changed ---
  std::string Follow(Request& request, const Answer& answer);
  std::string FollowOpen(Request& request, const Answer& answer);
  std::string FollowState(Request& request, FileNo file, const Answer& answer);
  std::string FollowData(Request& request, FileNo file, const Answer& answer);
  std::string FollowNames(Request& request, FileNo file, const Answer& answer);
  std::string FollowPage(const Request& request, FileNo directory, const Answer& answer);
  std::string FollowIdentity(const Request& request, const Answer& answer);
  std::string Show(FileNo file, const Answer& answer);
  std::string CheckVerifier(const nfs4::verifier4& verifier);
  static void Apply(Tree& tree, const Op& op, FileNo file, FileNo& made);
  Holding Who(const Request& request, FileNo file) const {
    return {request.actor, request.op.owner, file};
  }

  // A change that is seen and was answered as an error: it is on the disk with the next one that
  // succeeds.
  struct Unsynced {
    Tree before;
    std::shared_ptr<Request> request;
  };
  void EachTree(const std::function<void(Tree&)>& change);

  Context context_;
  std::vector<Unsynced> unsynced_;
  mutable std::set<Actor> in_the_way_;  // of the operation that is being judged
  std::map<Actor, Client> clients_;
  std::map<Content::Epoch, nfs4::verifier4> verifiers_;
};

}  // namespace tarn::sim
