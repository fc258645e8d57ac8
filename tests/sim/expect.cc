// What each operation may answer in the state that the model is in.
#include "tests/sim/model.h"

namespace tarn::sim {

using namespace nfs4;

namespace {

bool IsAnonymous(const stateid4& state) {
  return state.other == stateid4{}.other && state.seqid == 0;
}

}  // namespace

FileNo Model::Locate(const Fh& fh, Verdict& verdict) const {
  FileNo file = tree.Find(fh);
  if (file == 0) return 0;
  if (tree.at(file).life == Life::kGone) verdict.Must(NFS4ERR_STALE);
  bool unsure = tree.at(file).unsure && tree.at(file).links == 0;
  if (tree.at(file).life == Life::kUncertain || unsure) verdict.May(NFS4ERR_STALE);
  return file;
}

Model::Verdict Model::Expect(const Request& request) {
  const Op& op = request.op;
  Verdict verdict;
  FileNo file = op.file.empty() ? 0 : Locate(op.file, verdict);
  if (!verdict.must.empty()) {
    // Where two things are wrong, the order in which the server looks is its own.
    verdict.May({NFS4ERR_GRACE, NFS4ERR_NO_GRACE, NFS4ERR_BAD_STATEID, NFS4ERR_STALE_STATEID,
                 NFS4ERR_STALE_CLIENTID, NFS4ERR_EXPIRED, NFS4ERR_RECLAIM_BAD});
    return verdict;
  }
  switch (op.kind) {
    case Kind::kLookup:
    case Kind::kGetattr:
    case Kind::kReaddir:
    case Kind::kReadlink:
    case Kind::kMkdir:
    case Kind::kSymlink:
    case Kind::kRemove:
      ExpectNames(op, file, verdict);
      break;
    case Kind::kRename:
      ExpectRename(op, file, verdict);
      break;
    case Kind::kLink:
      ExpectLink(op, file, verdict);
      break;
    case Kind::kSetMode:
      break;
    case Kind::kSetSize:
    case Kind::kRead:
    case Kind::kWrite:
    case Kind::kCommit:
      ExpectData(request, file, verdict);
      break;
    case Kind::kOpen:
      ExpectOpen(request, file, verdict);
      break;
    case Kind::kOpenConfirm:
    case Kind::kDowngrade:
    case Kind::kClose:
    case Kind::kLock:
    case Kind::kLockTest:
    case Kind::kUnlock:
      ExpectState(request, file, verdict);
      break;
    default:
      ExpectIdentity(request, verdict);
  }
  return verdict;
}

void Model::ExpectNames(const Op& op, FileNo file, Verdict& verdict) {
  nfs_ftype4 type = tree.at(file).type;
  if (op.kind == Kind::kGetattr) return;
  if (op.kind == Kind::kReadlink) {
    if (type == NF4LNK) return;
    verdict.Must(NFS4ERR_INVAL);
    verdict.May({NFS4ERR_WRONG_TYPE, NFS4ERR_ISDIR});
    return;
  }
  if (type != NF4DIR) {
    verdict.Must(NFS4ERR_NOTDIR);
    if (type == NF4LNK) verdict.May(NFS4ERR_SYMLINK);
    return;
  }
  if (op.kind == Kind::kReaddir) return;
  FileNo child = tree.Child(file, op.name);
  bool makes = op.kind == Kind::kMkdir || op.kind == Kind::kSymlink;
  if (makes && child != 0) verdict.Must(NFS4ERR_EXIST);
  if (!makes && child == 0) verdict.Must(NFS4ERR_NOENT);
  bool full = op.kind == Kind::kRemove && child != 0 && !tree.at(child).entries.empty();
  if (full) verdict.Must(NFS4ERR_NOTEMPTY);
}

void Model::ExpectRename(const Op& op, FileNo from, Verdict& verdict) {
  FileNo to = Locate(op.target, verdict);
  if (!tree.IsDirectory(from) || !tree.IsDirectory(to)) verdict.Must(NFS4ERR_NOTDIR);
  if (!verdict.must.empty()) return;
  FileNo file = tree.Child(from, op.name);
  if (file == 0) {
    verdict.Must(NFS4ERR_NOENT);
    return;
  }
  FileNo replaced = tree.Child(to, op.new_name);
  if (replaced == file) return;
  if (tree.IsDirectory(file) && tree.LiesIn(to, file)) verdict.Must(NFS4ERR_INVAL);
  if (replaced == 0) return;
  if (tree.IsDirectory(file) != tree.IsDirectory(replaced)) verdict.Must(NFS4ERR_EXIST);
  if (!tree.at(replaced).entries.empty()) {
    verdict.Must(NFS4ERR_NOTEMPTY);
    verdict.May(NFS4ERR_EXIST);
  }
}

void Model::ExpectLink(const Op& op, FileNo file, Verdict& verdict) {
  FileNo to = Locate(op.target, verdict);
  if (tree.IsDirectory(file)) verdict.Must(NFS4ERR_ISDIR);
  if (!tree.IsDirectory(to)) {
    verdict.Must(NFS4ERR_NOTDIR);
  } else if (tree.Child(to, op.new_name) != 0) {
    verdict.Must(NFS4ERR_EXIST);
  }
  if (tree.at(file).links == 0) verdict.Must(NFS4ERR_NOENT);
}

void Model::ExpectOwnState(const Request& request, FileNo file, Verdict& verdict) {
  const Share* share = held.FindOpen(Who(request, file));
  bool there = share != nullptr && share->state.other == request.op.state.other &&
               clients_[request.actor].id == request.client_id;
  if (there) return;
  verdict.Must(NFS4ERR_BAD_STATEID);
  verdict.May({NFS4ERR_STALE_STATEID, NFS4ERR_EXPIRED, NFS4ERR_OLD_STATEID, NFS4ERR_STALE_CLIENTID,
               NFS4ERR_GRACE});
}

void Model::ExpectData(const Request& request, FileNo file, Verdict& verdict) {
  const Op& op = request.op;
  nfs_ftype4 type = tree.at(file).type;
  if (type != NF4REG) {
    verdict.Must(type == NF4DIR ? NFS4ERR_ISDIR : NFS4ERR_INVAL);
    verdict.May({NFS4ERR_SYMLINK, NFS4ERR_WRONG_TYPE, NFS4ERR_INVAL});
    return;
  }
  if (op.kind == Kind::kCommit) return;
  bool write = op.kind != Kind::kRead;
  if (IsAnonymous(op.state)) {
    if (!held.DenyConflicts(file, write).empty()) verdict.Must(NFS4ERR_LOCKED);
    return;
  }
  ExpectOwnState(request, file, verdict);
  if (!verdict.must.empty()) return;
  const Share* share = held.FindOpen(Who(request, file));
  // An open for writing may be read by (RFC 8881 section 18.22.3): clients fill their pages.
  if (write && (share->access & OPEN4_SHARE_ACCESS_WRITE) == 0) verdict.Must(NFS4ERR_OPENMODE);
  if (!write && (share->access & OPEN4_SHARE_ACCESS_READ) == 0) verdict.May(NFS4ERR_OPENMODE);
}

void Model::ExpectReclaim(const Request& request, bool was_held, Verdict& verdict) {
  if (!context_.grace || (request.minor >= 1 && clients_[request.actor].complete)) {
    verdict.Must(NFS4ERR_NO_GRACE);
    return;
  }
  if (!was_held) verdict.May({NFS4ERR_RECLAIM_BAD, NFS4ERR_NO_GRACE});
}

void Model::ExpectOpen(const Request& request, FileNo file, Verdict& verdict) {
  const Op& op = request.op;
  const Client& client = clients_[request.actor];
  if (request.minor == 0 && (client.id != request.client_id || client.lost)) {
    verdict.Must(NFS4ERR_STALE_CLIENTID);
    verdict.May(NFS4ERR_EXPIRED);
    return;
  }
  FileNo opened = file;
  if (op.reclaim) {
    ExpectReclaim(request, held.MayReclaimOpen(Who(request, file)), verdict);
  } else {
    bool waits = context_.grace || (request.minor >= 1 && !client.complete);
    if (waits && op.deny != OPEN4_SHARE_DENY_NONE) verdict.Must(NFS4ERR_GRACE);
    if (waits) verdict.May(NFS4ERR_GRACE);
    if (!tree.IsDirectory(file)) {
      verdict.Must(NFS4ERR_NOTDIR);
      verdict.May(NFS4ERR_SYMLINK);
      return;
    }
    opened = tree.Child(file, op.name);
    if (opened == 0 && !op.create) verdict.Must(NFS4ERR_NOENT);
    if (opened == 0) return;
  }
  const File& found = tree.at(opened);
  bool exclusive = op.create == EXCLUSIVE4;
  if (op.create == GUARDED4 || (exclusive && found.verifier != op.verifier)) {
    verdict.Must(NFS4ERR_EXIST);
  } else if (found.type != NF4REG) {
    verdict.Must(found.type == NF4DIR ? NFS4ERR_ISDIR : NFS4ERR_SYMLINK);
    if (op.create) verdict.May(NFS4ERR_EXIST);
  }
  if (!verdict.must.empty()) return;
  Conflict(request.actor, held.ShareConflicts(Who(request, opened), {op.access, op.deny, {}}),
           NFS4ERR_SHARE_DENIED, verdict);
}

void Model::ExpectState(const Request& request, FileNo file, Verdict& verdict) {
  const Op& op = request.op;
  switch (op.kind) {
    case Kind::kLock:
      return ExpectLock(request, file, verdict);
    case Kind::kLockTest: {
      const Client& client = clients_[request.actor];
      if (request.minor == 0 && (client.id != request.client_id || client.lost)) {
        verdict.Must(NFS4ERR_STALE_CLIENTID);
        verdict.May(NFS4ERR_EXPIRED);
      }
      if (context_.grace) verdict.May(NFS4ERR_GRACE);
      if (tree.at(file).type != NF4REG) {
        verdict.Must(NFS4ERR_ISDIR);
        verdict.May({NFS4ERR_INVAL, NFS4ERR_WRONG_TYPE});
      }
      if (!verdict.must.empty()) return;
      LockRange range{op.offset, op.offset + op.count - 1, op.write_lock};
      Conflict(request.actor, held.LockConflicts(Who(request, file), range), NFS4ERR_DENIED,
               verdict);
      return;
    }
    case Kind::kUnlock: {
      const stateid4* state = held.LockState(Who(request, file));
      if (state != nullptr && state->other == op.lock_state.other &&
          clients_[request.actor].id == request.client_id) {
        return;
      }
      verdict.Must(NFS4ERR_BAD_STATEID);
      verdict.May({NFS4ERR_STALE_STATEID, NFS4ERR_EXPIRED, NFS4ERR_OLD_STATEID});
      return;
    }
    default:
      ExpectOwnState(request, file, verdict);
  }
}

void Model::ExpectLock(const Request& request, FileNo file, Verdict& verdict) {
  const Op& op = request.op;
  LockRange range{op.offset, op.offset + op.count - 1, op.write_lock};
  if (op.new_lock_owner) {
    ExpectOwnState(request, file, verdict);
  } else {
    const stateid4* state = held.LockState(Who(request, file));
    if (state == nullptr || state->other != op.lock_state.other ||
        clients_[request.actor].id != request.client_id) {
      verdict.Must(NFS4ERR_BAD_STATEID);
      verdict.May({NFS4ERR_STALE_STATEID, NFS4ERR_EXPIRED, NFS4ERR_GRACE});
    }
  }
  if (!verdict.must.empty()) return;
  uint32_t needed = op.write_lock ? OPEN4_SHARE_ACCESS_WRITE : OPEN4_SHARE_ACCESS_READ;
  const Share* share = held.FindOpen(Who(request, file));
  if (share != nullptr && (share->access & needed) == 0) verdict.Must(NFS4ERR_OPENMODE);
  if (op.reclaim) {
    ExpectReclaim(request, held.MayReclaimLock(Who(request, file), range), verdict);
  } else if (context_.grace || (request.minor >= 1 && !clients_[request.actor].complete)) {
    // It may be had where nobody can have held a lock before (RFC 8881 section 8.4.2.1).
    if (context_.grace && held.LocksBefore()) verdict.Must(NFS4ERR_GRACE);
    verdict.May(NFS4ERR_GRACE);
  }
  if (!verdict.must.empty()) return;
  Conflict(request.actor, held.LockConflicts(Who(request, file), range), NFS4ERR_DENIED, verdict);
}

void Model::ExpectIdentity(const Request& request, Verdict& verdict) {
  const Client& client = clients_[request.actor];
  switch (request.op.kind) {
    case Kind::kRenew:
      if (request.minor >= 1 || (client.id == request.client_id && !client.lost)) return;
      verdict.Must(NFS4ERR_STALE_CLIENTID);
      verdict.May(NFS4ERR_EXPIRED);
      return;
    case Kind::kCreateSession:
      verdict.May({NFS4ERR_STALE_CLIENTID, NFS4ERR_SEQ_MISORDERED});
      return;
    case Kind::kConfirmClientId:
      verdict.May(NFS4ERR_STALE_CLIENTID);
      return;
    case Kind::kReclaimComplete:
      if (client.complete) verdict.Must(NFS4ERR_COMPLETE_ALREADY);
      return;
    default:
      return;
  }
}

}  // namespace tarn::sim
