// What an operation that succeeded changed, and whether what it showed is so.
#include "tests/sim/model.h"

namespace tarn::sim {

using namespace nfs4;

std::string Model::Show(FileNo file, const Answer& answer) {
  if (!answer.fh.empty() && !tree.Learn(file, answer.fh)) {
    return "the handle is not that of file #" + std::to_string(file);
  }
  return answer.attributes ? tree.CheckAttributes(file, *answer.attributes) : "";
}

// The change of the tree alone; `made`: a file that it makes.
void Model::Apply(Tree& tree, const Op& op, FileNo file, FileNo& made) {
  switch (op.kind) {
    case Kind::kMkdir:
      made = tree.Make(file, op.name, NF4DIR, op.mode);
      return;
    case Kind::kSymlink:
      made = tree.Make(file, op.name, NF4LNK, 0777);
      tree.at(made).target = op.text;
      return;
    case Kind::kRemove:
      return tree.Remove(file, op.name);
    case Kind::kRename:
      return tree.Rename(file, op.name, tree.Find(op.target), op.new_name);
    case Kind::kLink:
      return tree.Link(file, tree.Find(op.target), op.new_name);
    case Kind::kSetMode:
      tree.at(file).mode = op.mode;
      tree.at(file).verifier = 0;
      tree.at(file).changed = true;
      return;
    case Kind::kSetSize:
      tree.at(file).content.Resize(op.size);
      tree.at(file).verifier = 0;
      tree.at(file).changed = true;
      return;
    case Kind::kOpen:
      if (tree.Child(file, op.name) != 0) return;
      made = tree.Make(file, op.name, NF4REG, op.mode);
      if (op.create == EXCLUSIVE4) tree.at(made).verifier = op.verifier;
      return;
    default:
      return;
  }
}

std::string Model::Follow(Request& request, const Answer& answer) {
  const Op& op = request.op;
  FileNo file = op.file.empty() ? 0 : tree.Find(op.file);
  switch (op.kind) {
    case Kind::kLookup:
      return Show(tree.Child(file, op.name), answer);
    case Kind::kGetattr:
      return Show(file, answer);
    case Kind::kReaddir:
      return FollowPage(request, file, answer);
    case Kind::kReadlink:
      return answer.text == tree.at(file).target ? "" : "the target is " + answer.text;
    case Kind::kMkdir:
    case Kind::kSymlink:
      Apply(tree, op, file, request.made);
      return Show(request.made, answer);
    case Kind::kRemove:
    case Kind::kRename:
    case Kind::kLink:
    case Kind::kSetMode:
    case Kind::kSetSize:
      Apply(tree, op, file, request.made);
      return Show(file, answer);
    case Kind::kRead:
    case Kind::kWrite:
    case Kind::kCommit:
      return FollowData(request, file, answer);
    case Kind::kOpen:
      return FollowOpen(request, answer);
    case Kind::kOpenConfirm:
    case Kind::kDowngrade:
    case Kind::kClose:
    case Kind::kLock:
    case Kind::kLockTest:
    case Kind::kUnlock:
      return FollowState(request, file, answer);
    default:
      return FollowIdentity(request, answer);
  }
}

std::string Model::FollowPage(const Request& request, FileNo directory, const Answer& answer) {
  const auto& entries = tree.at(directory).entries;
  std::set<std::string> seen;
  for (const Entry& entry : answer.entries) {
    auto found = entries.find(entry.name);
    if (found == entries.end()) return "the page has " + entry.name + ", which is not there";
    uint64_t fileid = tree.at(found->second).fileid;
    if (fileid != 0 && fileid != entry.fileid) return entry.name + " is shown as another file";
    if (!seen.insert(entry.name).second) return "the page has " + entry.name + " twice";
  }
  bool whole = request.op.cookie == 0 && answer.end;
  if (whole && seen.size() != entries.size()) {
    return "the page has " + std::to_string(seen.size()) + " names of " +
           std::to_string(entries.size());
  }
  if (!answer.end && answer.entries.empty()) return "a page without names is not the last";
  return "";
}

std::string Model::CheckVerifier(const verifier4& verifier) {
  auto [known, fresh] = verifiers_.emplace(tree.epoch, verifier);
  if (known->second != verifier) return "the write verifier changed without a restart or failure";
  for (const auto& [epoch, before] : verifiers_) {
    if (epoch != tree.epoch && before == verifier) return "the write verifier is an old one";
  }
  return "";
}

std::string Model::FollowData(Request& request, FileNo file, const Answer& answer) {
  const Op& op = request.op;
  Content& content = tree.at(file).content;
  if (op.kind == Kind::kRead) {
    uint64_t from = op.offset * kUnitBytes;
    uint64_t expected = content.ReadableAt(from, op.count * kUnitBytes);
    if (answer.data.size() != expected) {
      return "READ gave " + std::to_string(answer.data.size()) + " bytes, not " +
             std::to_string(expected);
    }
    if (!content.Matches(from, answer.data, tree.epoch))
      return "READ gave other bytes than were written";
    bool end = from + expected >= content.bytes();
    return answer.end == end ? "" : "READ is wrong about the end of the file";
  }
  if (op.kind == Kind::kCommit) {
    EachTree([&](Tree& one) {
      if (one.Has(file)) one.at(file).content.Commit(tree.epoch);
    });
    return CheckVerifier(answer.verifier);
  }
  bool cut = answer.count > 0 && (context_.faulty || context_.full);
  if (answer.count != op.count * kUnitBytes && !cut) {
    return "WRITE took " + std::to_string(answer.count) + " bytes";
  }
  if (answer.committed < op.stable) return "WRITE was less stable than asked for";
  bool stable = answer.committed != UNSTABLE4;
  EachTree([&](Tree& one) {
    if (!one.Has(file)) return;
    Content& written = one.at(file).content;
    written.WritePart(op.offset, op.count, answer.count, Fill(op.fill), stable, tree.epoch);
    one.at(file).written = true;
  });
  return CheckVerifier(answer.verifier);
}

std::string Model::FollowOpen(Request& request, const Answer& answer) {
  const Op& op = request.op;
  FileNo directory = tree.Find(op.file);
  FileNo file = op.reclaim ? directory : tree.Child(directory, op.name);
  bool redone = request.done && request.made != 0;
  if (redone) file = request.made;
  if (file == 0) {
    Apply(tree, op, directory, request.made);
    file = request.made;
  } else if (op.truncate && op.create == UNCHECKED4 && !redone) {
    tree.at(file).content.Resize(0);
    tree.at(file).changed = true;
    tree.at(file).verifier = 0;
  }
  Holding who = Who(request, file);
  Share share{op.access, op.deny, answer.state};
  std::string wrong = DropExpired(held.ShareConflicts(who, share));
  if (!wrong.empty()) return wrong;
  if (held.Open(who, share)) tree.Pin(file);
  return Show(file, answer);
}

std::string Model::FollowState(Request& request, FileNo file, const Answer& answer) {
  const Op& op = request.op;
  Holding who = Who(request, file);
  LockRange range{op.offset, op.offset + op.count - 1, op.write_lock};
  switch (op.kind) {
    case Kind::kClose:
      held.Close(who);
      Unpin(file);
      return "";
    case Kind::kOpenConfirm:
    case Kind::kDowngrade: {
      Share share = *held.FindOpen(who);
      share.state = answer.state;
      if (op.kind == Kind::kDowngrade) share.access = op.access, share.deny = op.deny;
      held.Downgrade(who, share);
      return "";
    }
    case Kind::kLockTest:
      return DropExpired(held.LockConflicts(who, range));
    case Kind::kLock: {
      std::string wrong = DropExpired(held.LockConflicts(who, range));
      if (!wrong.empty()) return wrong;
      held.Lock(who, range);
      held.SetLockState(who, answer.state);
      return "";
    }
    default:
      held.Unlock(who, range.first, range.last);
      held.SetLockState(who, answer.state);
      return "";
  }
}

std::string Model::FollowIdentity(const Request& request, const Answer& answer) {
  Client& client = clients_[request.actor];
  switch (request.op.kind) {
    case Kind::kCreateSession:
    case Kind::kConfirmClientId: {
      bool another = client.id != request.op.client_id;
      if (another && client.id != 0) {
        Drop(request.actor);
        held.ForgetBefore(request.actor);
      }
      if (another) client.complete = false;
      client.id = request.op.client_id;
      client.minor = request.minor;
      client.session = answer.session;
      client.lost = client.unsure = client.maybe_lost = false;
      client.renewed_least = client.renewed_most = context_.now;
      return "";
    }
    case Kind::kReclaimComplete:
      // It may have been meant for the last run: then the client is told to say it again.
      if ((answer.flags & SEQ4_STATUS_RESTART_RECLAIM_NEEDED) != 0) return "";
      client.complete = true;
      held.ForgetBefore(request.actor);
      return "";
    default:
      return "";
  }
}

}  // namespace tarn::sim
