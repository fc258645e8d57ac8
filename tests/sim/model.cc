#include "tests/sim/model.h"

#include <algorithm>
#include <utility>

namespace tarn::sim {

using namespace nfs4;

namespace {

// After these the seqid of a 4.0 owner stays (RFC 7530 section 9.1.7), so the request runs again.
bool KeepsSeqid(nfsstat4 status) {
  switch (status) {
    case NFS4ERR_STALE_CLIENTID:
    case NFS4ERR_STALE_STATEID:
    case NFS4ERR_BAD_STATEID:
    case NFS4ERR_BAD_SEQID:
    case NFS4ERR_EXPIRED:
    case NFS4ERR_RESOURCE:
    case NFS4ERR_NOFILEHANDLE:
      return true;
    default:
      return false;
  }
}

bool Same(const stateid4& a, const stateid4& b) {
  return a.seqid == b.seqid && a.other == b.other;
}

// What may be refused on a full disk. Removing never is, nor what makes data durable.
bool Grows(Kind kind) {
  return kind != Kind::kRemove && kind != Kind::kCommit && !IsRead(kind);
}

bool OfOwner(Kind kind) {
  return kind == Kind::kOpen || kind == Kind::kOpenConfirm || kind == Kind::kDowngrade ||
         kind == Kind::kClose || kind == Kind::kLock || kind == Kind::kUnlock;
}

}  // namespace

std::string Model::Executed(Request& request, const std::vector<std::byte>& reply,
                            const Context& context) {
  context_ = context;
  request.failed = false;
  Answer answer = Parse(reply, request.sequence.has_value());
  request.seen = answer;
  if (answer.status == nfs_client::kNoAnswer) return "the reply is no COMPOUND4res";
  bool again = request.executed && request.run == context.run;
  if (request.sequence && answer.sequence != NFS4_OK) {
    bool late = again && request.answered && answer.sequence == NFS4ERR_SEQ_MISORDERED;
    return late ? "" : CheckSession(request, answer);
  }
  if (request.sequence) {
    std::string wrong = CheckSession(request, answer);
    if (!wrong.empty()) return wrong;
  }
  NoteRenewal(request, answer);
  if (again) return Again(request, answer, reply);
  bool changes = Changes(request.op);
  bool fresh = !request.done;
  std::string wrong = fresh ? Judge(request, answer) : Redone(request, answer);
  if (fresh && changes) NoteSync(request, answer);
  bool made = request.op.kind != Kind::kOpen || request.made != 0;
  if (answer.status == NFS4_OK && IsTagged(request.op.kind) && made && changes) {
    request.done = true;
  }
  request.run = context.run;
  request.executed_at = context.now;
  request.executed = true;
  request.first = answer;
  request.reply = reply;
  return wrong;
}

// A rename of a file to another name of its own does nothing, so no engine remembers it.
bool Model::Changes(const Op& op) const {
  if (op.kind != Kind::kRename) return true;
  FileNo from = tree.Find(op.file);
  FileNo to = tree.Find(op.target);
  return from == 0 || to == 0 || tree.Child(from, op.name) != tree.Child(to, op.new_name);
}

// What is answered is on the disk, with all that came before it in the database's log.
void Model::NoteSync(const Request& request, const Answer& answer) {
  if (answer.status != NFS4_OK) return;
  Kind kind = request.op.kind;
  bool synced = IsTagged(kind) || kind == Kind::kSetMode || kind == Kind::kSetSize;
  if (kind == Kind::kOpen) synced = request.made != 0;
  if (kind == Kind::kWrite) synced = answer.committed != UNSTABLE4;
  if (synced) unsynced_.clear();
}

std::string Model::Judge(Request& request, const Answer& answer) {
  in_the_way_.clear();
  Verdict verdict = Expect(request);
  Client& client = clients_[request.actor];
  bool dropped = request.minor == 0 && answer.status == NFS4ERR_EXPIRED &&
                 request.client_id == client.id &&
                 (client.maybe_lost || MayBeDropped(request.actor));
  if (dropped) {
    Drop(request.actor);
    client.lost = true;
    verdict.May(NFS4ERR_EXPIRED);
  }
  if (request.minor == 0 && answer.status == NFS4_OK) client.maybe_lost = false;
  // What is denied by one client may have cost another one, who was expired, all it held.
  if (answer.status == NFS4ERR_DENIED || answer.status == NFS4ERR_SHARE_DENIED) {
    for (Actor other : in_the_way_) {
      if (other == request.actor || !MayBeExpired(other)) continue;
      clients_[other].maybe_lost = true;
      MakeFilesUnsure(other);
    }
  }
  bool ok = answer.status == NFS4_OK;
  if (context_.faulty) verdict.May({NFS4ERR_IO, NFS4ERR_NOSPC});
  if (context_.full && Grows(request.op.kind)) verdict.May(NFS4ERR_NOSPC);
  request.failed = answer.status == NFS4ERR_IO || answer.status == NFS4ERR_NOSPC;
  Kind kind = request.op.kind;
  if (request.failed && (kind == Kind::kCreateSession || kind == Kind::kConfirmClientId)) {
    // What the client's former instance held may be gone already.
    client.maybe_lost = true;
    MakeFilesUnsure(request.actor);
  }
  bool fine = verdict.may.contains(answer.status) || verdict.must.contains(answer.status) ||
              (ok && verdict.must.empty());
  // A late duplicate names its state as it was then.
  bool late = request.executed && request.answered && !ok &&
              (answer.status == NFS4ERR_OLD_STATEID || answer.status == NFS4ERR_BAD_STATEID);
  if (!fine && !late) {
    std::string wanted = verdict.must.empty() ? "NFS4_OK" : "";
    for (nfsstat4 status : verdict.must)
      wanted += (wanted.empty() ? "" : " or ") + StatusName(status);
    for (nfsstat4 status : verdict.may) wanted += " or " + StatusName(status);
    return "answered " + StatusName(answer.status) + ", not " + wanted;
  }
  return ok ? Follow(request, answer) : "";
}

std::string Model::Again(Request& request, const Answer& answer,
                         const std::vector<std::byte>& reply) {
  if (request.minor == 0) return Again40(request, answer, reply);
  if (!request.sequence) return Judge(request, answer);
  if (reply == request.reply) return "";
  bool uncached = !request.cached && answer.status == NFS4ERR_RETRY_UNCACHED_REP;
  return uncached ? ""
                  : "sent again, it was answered otherwise: " + StatusName(answer.status) +
                        ", first " + StatusName(request.first.status);
}

std::string Model::Again40(Request& request, const Answer& answer,
                           const std::vector<std::byte>& reply) {
  Kind kind = request.op.kind;
  if (IsRead(kind) || kind == Kind::kWrite || !InSession(kind)) return Judge(request, answer);
  if (!OfOwner(kind)) return reply == request.reply ? "" : "sent again, it was answered otherwise";
  // An owner that nobody asked anything for a lease's time may be forgotten.
  bool forgotten = context_.end - request.executed_at > kLease;
  bool same = answer.status == request.first.status && Same(answer.state, request.first.state);
  if (KeepsSeqid(request.first.status) || (forgotten && !same)) {
    std::string wrong = Judge(request, answer);
    request.first = answer;
    return wrong;
  }
  // With its client, which began anew, an owner goes, and what it closed.
  bool replaced = clients_[request.actor].id != request.client_id;
  bool gone = answer.status == NFS4ERR_STALE || (replaced && answer.status == NFS4ERR_EXPIRED);
  bool late = request.answered && answer.status != NFS4_OK;
  return same || gone || late
             ? ""
             : "sent again, it was answered otherwise: " + StatusName(answer.status) + ", first " +
                   StatusName(request.first.status);
}

// A change of names that an earlier run made and that the engine remembers: nothing is to happen.
std::string Model::Redone(Request& request, const Answer& answer) {
  const Op& op = request.op;
  auto gone = [&](FileNo file) { return file != 0 && tree.at(file).life != Life::kLive; };
  bool lost = gone(tree.Find(op.file)) || gone(tree.Find(op.target)) || gone(request.made);
  if (op.kind == Kind::kLink && op.file.empty()) return "LINK without a file";
  if (lost && answer.status == NFS4ERR_STALE) return "";
  if (op.kind == Kind::kOpen) {
    Verdict verdict;
    if (context_.grace || !clients_[request.actor].complete) verdict.May(NFS4ERR_GRACE);
    if (request.minor == 0) verdict.May({NFS4ERR_STALE_CLIENTID, NFS4ERR_EXPIRED});
    if (context_.faulty) verdict.May({NFS4ERR_IO, NFS4ERR_NOSPC});
    Conflict(request.actor,
             held.ShareConflicts(Who(request, request.made), {op.access, op.deny, {}}),
             NFS4ERR_SHARE_DENIED, verdict);
    bool fine = verdict.may.contains(answer.status) || verdict.must.contains(answer.status);
    if (fine) return "";
    if (answer.status == NFS4_OK && verdict.must.empty()) return FollowOpen(request, answer);
  } else if (answer.status == NFS4_OK) {
    return request.made == 0 ? "" : Show(request.made, answer);
  }
  return "done by the last run, it was answered " + StatusName(answer.status);
}

std::string Model::CheckSession(const Request& request, const Answer& answer) {
  Client& client = clients_[request.actor];
  bool current = client.id == request.client_id && !client.lost &&
                 client.session == request.sequence->sa_sessionid;
  if (answer.sequence == NFS4_OK) {
    client.maybe_lost = false;
    return current || client.unsure ? "" : "a session was served that had ended";
  }
  bool bad = answer.sequence == NFS4ERR_BADSESSION || answer.sequence == NFS4ERR_DEADSESSION;
  if (bad && (!current || client.unsure)) return "";
  if (bad && (client.maybe_lost || MayBeDropped(request.actor))) {
    Drop(request.actor);
    client.lost = true;
    return "";
  }
  return "SEQUENCE was answered " + StatusName(answer.sequence);
}

void Model::NoteRenewal(const Request& request, const Answer& answer) {
  Client& client = clients_[request.actor];
  if (client.id != request.client_id) return;
  client.renewed_most = context_.end;
  const Op& op = request.op;
  bool names_it = OfOwner(op.kind) || op.kind == Kind::kLockTest || op.kind == Kind::kRenew ||
                  op.state.other != stateid4{}.other;
  bool sure =
      request.minor >= 1 ? request.sequence.has_value() : names_it && answer.status == NFS4_OK;
  if (sure) client.renewed_least = context_.now;
}

bool Model::MayBeExpired(Actor actor) const {
  auto client = clients_.find(actor);
  return client == clients_.end() || client->second.maybe_lost ||
         context_.end - client->second.renewed_least > kLease;
}

bool Model::SurelyExpired(Actor actor) const {
  auto client = clients_.find(actor);
  return client == clients_.end() || context_.now - client->second.renewed_most > kLease;
}

bool Model::MayBeDropped(Actor actor) const {
  const Client& client = clients_.at(actor);
  return !held.HoldsAny(actor) && context_.end - client.renewed_least > 2 * kLease;
}

void Model::Conflict(Actor self, const std::set<Actor>& others, nfsstat4 status,
                     Verdict& verdict) const {
  bool live = std::any_of(others.begin(), others.end(),
                          [&](Actor other) { return other == self || !MayBeExpired(other); });
  in_the_way_ = others;
  bool all_gone = std::all_of(others.begin(), others.end(),
                              [&](Actor other) { return other != self && SurelyExpired(other); });
  if (live) {
    verdict.Must(status);
  } else if (!all_gone) {
    verdict.May(status);
  }
}

std::string Model::DropExpired(const std::set<Actor>& actors) {
  for (Actor actor : actors) {
    if (!MayBeExpired(actor)) {
      return "it was granted against what client " + std::to_string(actor) + " holds";
    }
    Drop(actor);
    clients_[actor].lost = true;
  }
  return "";
}

void Model::Drop(Actor actor) {
  for (FileNo file : held.Drop(actor)) Unpin(file);
}

void Model::Died() {
  for (auto& [actor, client] : clients_) {
    if (std::exchange(client.maybe_lost, false)) MakeUnsure(actor);
  }
}

void Model::DiedInMaintenance() {
  for (Actor actor : held.Before()) MakeUnsure(actor);
  tree.MakeUncertainUnsure();
}

// The server may have dropped the client before it died.
void Model::MakeUnsure(Actor actor) {
  clients_[actor].unsure = true;
  MakeFilesUnsure(actor);
}

void Model::MakeFilesUnsure(Actor actor) {
  for (const auto& [who, share] : held.opens()) {
    if (who.actor == actor) tree.at(who.file).unsure = true;
  }
}

void Model::CutOff(Request& request, std::vector<Tree>& outcomes, const Context& context) {
  context_ = context;
  Died();
  const Op& op = request.op;
  bool of_state = op.kind == Kind::kOpen || op.kind == Kind::kLock || op.kind == Kind::kLockTest;
  if (!InSession(op.kind)) MakeUnsure(request.actor);
  if (op.kind == Kind::kReclaimComplete) DiedInMaintenance();
  for (const auto& [actor, client] : clients_) {
    if (of_state && MayBeExpired(actor)) MakeUnsure(actor);
  }
  if (op.kind == Kind::kClose) tree.at(tree.Find(op.file)).unsure = true;
  outcomes.push_back(tree);
  if (request.done || op.reclaim || !Expect(request).must.empty()) return;
  FileNo file = tree.Find(op.file);
  if (op.kind == Kind::kWrite) {
    // Unstable until proven otherwise: any part of it may be there.
    Tree written = tree;
    written.at(file).content.Write(op.offset, op.count, Fill(op.fill), false, tree.epoch);
    outcomes.push_back(written);
    return;
  }
  AddDone(op, outcomes);
}

void Model::Done(Request& request, Tree found) {
  FileNo made = 0;
  for (const auto& [number, file] : found.files()) {
    if (!tree.files().contains(number)) made = number;
  }
  tree = std::move(found);
  request.made = made;
  request.executed = true;
  request.done = IsTagged(request.op.kind) && (request.op.kind != Kind::kOpen || made != 0);
}

void Model::Restarted(Time now, bool disk_failed) {
  std::set<Actor> holders;
  for (const auto& [who, share] : held.opens()) holders.insert(who.actor);
  tree.Restart();
  NextEpoch();
  held.Restart();
  for (auto& [actor, client] : clients_) {
    bool held_before = holders.contains(actor);
    if (client.minor == 0) client.id = 0;
    client.complete = false;
    // It may have been dropped before the server died, and then be there again, since a disk that
    // failed took no note of that.
    Time age = now - client.renewed_least;
    bool dropped = !held_before && age > 2 * kLease;
    if (dropped || (disk_failed && age > kLease)) client.unsure = true;
    client.renewed_least = client.renewed_most = now;
    if (client.unsure) held.ForgetBefore(actor);
  }
}

void Model::EndGrace() {
  held.EndGrace();
  tree.EndGrace();
}

bool Model::GraceDue() const {
  std::set<Actor> before = held.Before();
  return std::any_of(before.begin(), before.end(), [&](Actor actor) {
    auto client = clients_.find(actor);
    return client == clients_.end() || !client->second.complete;
  });
}

}  // namespace tarn::sim
