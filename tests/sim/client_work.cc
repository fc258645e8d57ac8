// What the processes of a client do, and what they make of the answers.
#include <algorithm>

#include "tests/sim/client.h"

namespace tarn::sim {

using namespace nfs4;

namespace {

constexpr size_t kFilesMax = 40;       // names that there are at a time, about
constexpr size_t kOpenMax = 6;         // by one process
constexpr uint64_t kFarUnit = 67'108;  // its bytes lie on both sides of 64 MiB
constexpr uint64_t kUnitsNear = 24;    // across the border of files stored inline
constexpr uint64_t kLockBytes = 64;
const char* const kNames[] = {"a", "b", "c", "d", "e", "f"};

bool NeedsOpen(Kind kind) {
  return kind == Kind::kOpenConfirm || kind == Kind::kDowngrade || kind == Kind::kClose ||
         kind == Kind::kLock || kind == Kind::kUnlock;
}

bool LosesState(nfsstat4 status) {
  return status == NFS4ERR_BAD_STATEID || status == NFS4ERR_STALE_STATEID ||
         status == NFS4ERR_EXPIRED;
}

}  // namespace

std::string Client::PickName() {
  return kNames[simulation_.random().Below(std::size(kNames))];
}

Fh Client::PickDirectory() {
  const Tree& tree = simulation_.model().tree;
  Random& random = simulation_.random();
  if (!random.Chance(300)) {
    for (int tries = 0; tries < 8; ++tries) {
      FileNo file = tree.live()[random.Below(tree.live().size())];
      if (tree.IsDirectory(file) && !tree.at(file).fh.empty()) return tree.at(file).fh;
    }
  }
  return tree.at(kRoot).fh;
}

// Any file; now and then one that is gone.
Fh Client::PickFile() {
  const Tree& tree = simulation_.model().tree;
  Random& random = simulation_.random();
  for (int tries = 0; tries < 8; ++tries) {
    FileNo file = random.Chance(50) ? static_cast<FileNo>(random.Between(kRoot, tree.last()))
                                    : tree.live()[random.Below(tree.live().size())];
    auto found = tree.files().find(file);
    if (found != tree.files().end() && !found->second.fh.empty()) return found->second.fh;
  }
  return tree.at(kRoot).fh;
}

std::optional<Op> Client::Invent(Process& process) {
  Random& random = simulation_.random();
  uint64_t kind = random.Below(100);
  if (kind < 40) return InventNames();
  if (kind < 55 && process.files.size() < kOpenMax) return InventOpen(process);
  if (!process.files.empty()) return InventOnFile(process, random.Pick(process.files));
  return InventOpen(process);
}

Op Client::InventNames() {
  Random& random = simulation_.random();
  Op op;
  bool many = simulation_.model().tree.live().size() > kFilesMax;
  static constexpr Kind kKinds[] = {Kind::kLookup,   Kind::kLookup, Kind::kGetattr, Kind::kReaddir,
                                    Kind::kReadlink, Kind::kMkdir,  Kind::kMkdir,   Kind::kSymlink,
                                    Kind::kRemove,   Kind::kRemove, Kind::kRemove,  Kind::kRename,
                                    Kind::kRename,   Kind::kRename, Kind::kLink,    Kind::kSetMode,
                                    Kind::kSetSize,  Kind::kCommit};
  op.kind = many && random.Chance(500) ? Kind::kRemove : random.Pick(kKinds);
  op.file = random.Chance(20) ? PickFile() : PickDirectory();
  switch (op.kind) {
    case Kind::kGetattr:
    case Kind::kReadlink:
    case Kind::kSetMode:
    case Kind::kSetSize:
    case Kind::kCommit:
      op.file = PickFile();
      op.mode = static_cast<uint32_t>(random.Below(01000)) | 0600;
      op.size = random.Chance(500) ? 0 : random.Below(kUnitsNear);
      return op;
    case Kind::kLink:
      op.file = PickFile();
      op.target = PickDirectory();
      op.new_name = PickName();
      return op;
    case Kind::kReaddir:
      op.bytes_max = 32768;
      return op;
    case Kind::kRename:
      op.target = random.Chance(500) ? op.file : PickDirectory();
      op.new_name = PickName();
      break;
    default:
      break;
  }
  op.name = PickName();
  op.mode = static_cast<uint32_t>(random.Below(01000)) | 0700;
  op.text = "to-" + std::to_string(random.Below(1000));
  return op;
}

Op Client::InventOpen(Process& process) {
  Random& random = simulation_.random();
  Op op;
  op.kind = Kind::kOpen;
  op.file = PickDirectory();
  op.name = PickName();
  op.owner = process.number;
  op.access = static_cast<uint32_t>(random.Between(1, 3));
  op.deny = random.Chance(80) ? static_cast<uint32_t>(random.Between(1, 3)) : 0;
  op.mode = static_cast<uint32_t>(random.Below(01000)) | 0600;
  uint64_t how = random.Below(10);
  if (how < 4) op.create = UNCHECKED4;
  if (how == 4) op.create = GUARDED4;
  if (how == 5) op.create = EXCLUSIVE4;
  if (op.create == EXCLUSIVE4) {
    op.verifier = simulation_.NextNumber();
    if (minor_ == 0) op.mode = 0644;  // it carries no attributes
  }
  op.truncate = op.create == UNCHECKED4 && random.Chance(300);
  return op;
}

std::optional<Op> Client::InventOnFile(Process& process, OpenFile& file) {
  Random& random = simulation_.random();
  if (file.closing) return std::nullopt;
  Op op;
  op.file = file.fh;
  op.owner = process.number;
  uint64_t kind = random.Below(100);
  if (kind < 50) return InventIo(file);
  if (kind < 60) op.kind = Kind::kCommit;
  if (kind >= 60 && kind < 80) return InventLock(process, file);
  if (kind >= 80 && kind < 90) op.kind = Kind::kClose;
  if (kind >= 90 && kind < 94) {
    op.kind = Kind::kSetSize;
    op.size = random.Below(kUnitsNear);
  }
  if (kind >= 94) {
    op.kind = Kind::kDowngrade;
    const Share& mode = random.Pick(file.modes);
    op.access = mode.access;
    op.deny = mode.deny;
    bool narrows = file.access != op.access || file.deny != op.deny;
    if (!narrows) op.kind = Kind::kGetattr;
  }
  return op;
}

Op Client::InventIo(OpenFile& file) {
  Random& random = simulation_.random();
  Op op;
  op.file = file.fh;
  op.owner = random.Chance(100) ? 0 : 1;  // 0: by the anonymous stateid; else its own
  op.kind = random.Chance(500) ? Kind::kRead : Kind::kWrite;
  op.offset = random.Chance(30) ? kFarUnit : random.Below(kUnitsNear);
  op.count = random.Between(1, 8);
  op.fill = ++next_fill_;
  op.stable = random.Chance(600) ? UNSTABLE4 : random.Chance(500) ? FILE_SYNC4 : DATA_SYNC4;
  return op;
}

Op Client::InventLock(Process& process, OpenFile& file) {
  Random& random = simulation_.random();
  Op op;
  op.file = file.fh;
  op.owner = process.number;
  op.offset = random.Below(kLockBytes);
  op.count = random.Between(1, kLockBytes - op.offset);
  op.write_lock = random.Chance(500);
  op.kind = Kind::kLock;
  if (random.Chance(200)) op.kind = Kind::kLockTest;
  if (!file.locks.empty() && random.Chance(500)) op.kind = Kind::kUnlock;
  return op;
}

bool Client::Complete(Process& process, Op& op) {
  op.client_id = client_id_;
  OpenFile* file = process.Find(op.file);
  if (NeedsOpen(op.kind) && file == nullptr) return false;
  bool with_state = op.owner != 0 && file != nullptr;
  op.state = {};
  op.seqid = minor_ == 0 ? process.open_seqid : 0;
  op.lock_seqid = minor_ == 0 ? process.lock_seqid : 0;
  if (with_state && (NeedsOpen(op.kind) || op.kind == Kind::kRead || op.kind == Kind::kWrite ||
                     op.kind == Kind::kSetSize)) {
    op.state = file->state;
    op.owner = process.number;
  }
  switch (op.kind) {
    case Kind::kOpenConfirm:
      return file->to_confirm;
    case Kind::kClose:
      file->closing = true;
      return true;
    case Kind::kDowngrade:
      file->access = op.access;
      file->deny = op.deny;
      file->modes = {{op.access, op.deny, {}}};
      return true;
    case Kind::kLock:
    case Kind::kUnlock:
      op.new_lock_owner = !file->lock_state;
      if (op.kind == Kind::kUnlock && !file->lock_state) return false;
      if (op.kind == Kind::kUnlock) Subtract(file->locks, op.offset, op.offset + op.count - 1);
      if (!op.new_lock_owner) {
        op.lock_state = *file->lock_state;
        op.seqid = op.lock_seqid;
      }
      return true;
    default:
      return true;
  }
}

void Client::CountSeqid(Process&, const Request& request, const Answer& answer) {
  const Op& op = request.op;
  bool of_owner = NeedsOpen(op.kind) || op.kind == Kind::kOpen;
  if (minor_ > 0 || !of_owner || request.client_id != client_id_ || answer.results < 2) return;
  switch (answer.status) {
    case NFS4ERR_STALE_CLIENTID:
    case NFS4ERR_STALE_STATEID:
    case NFS4ERR_BAD_STATEID:
    case NFS4ERR_BAD_SEQID:
    case NFS4ERR_EXPIRED:
    case NFS4ERR_RESOURCE:
      return;
    default:
      break;
  }
  Process& owner = processes_[op.owner - 1];
  bool locks = op.kind == Kind::kUnlock || (op.kind == Kind::kLock && !op.new_lock_owner);
  if (locks) {
    ++owner.lock_seqid;
  } else {
    ++owner.open_seqid;
    if (op.kind == Kind::kLock && answer.status == NFS4_OK) ++owner.lock_seqid;
  }
}

void Client::Lose(Process& process, const Fh& fh) {
  ++simulation_.counts().lost;
  std::erase_if(process.files, [&](const OpenFile& file) { return file.fh == fh; });
}

void Client::Done(Process& process, const Op& op, const Answer& answer) {
  OpenFile* file = process.Find(op.file);
  switch (op.kind) {
    case Kind::kOpen:
      return DoneOpen(process, op, answer);
    case Kind::kClose:
      if (file != nullptr && file->state.other == op.state.other) {
        std::erase_if(process.files, [&](const OpenFile& one) { return one.fh == op.file; });
      }
      return;
    default:
      break;
  }
  bool own = file != nullptr && op.owner != 0 && op.state.other == file->state.other;
  if (own && LosesState(answer.status) && phase_ == Phase::kReady && !NeedsOpen(op.kind)) {
    return Lose(process, op.file);
  }
  if (op.kind == Kind::kWrite || op.kind == Kind::kCommit) return DoneData(process, op, answer);
  if (own) DoneState(process, op, answer);
}

void Client::DoneOpen(Process& process, const Op& op, const Answer& answer) {
  if (answer.status != NFS4_OK) return;
  OpenFile* file = process.Find(answer.fh);
  if (file == nullptr) file = &process.files.emplace_back();
  bool same = file->state.other == answer.state.other;
  file->fh = answer.fh;
  file->access = op.access | (same ? file->access : 0);
  file->deny = op.deny | (same ? file->deny : 0);
  if (!same) file->modes.clear();
  file->modes.push_back({op.access, op.deny, {}});
  file->state = answer.state;
  if ((answer.rflags & OPEN4_RESULT_CONFIRM) == 0) return;
  file->to_confirm = true;
  Op confirm;
  confirm.kind = Kind::kOpenConfirm;
  confirm.file = answer.fh;
  confirm.owner = process.number;
  process.todo.push_front(confirm);
}

void Client::DoneData(Process& process, const Op& op, const Answer& answer) {
  OpenFile* file = process.Find(op.file);
  if (file == nullptr || answer.status != NFS4_OK) return;
  bool lost = !file->unstable.empty() && answer.verifier != file->verifier;
  if (lost) {
    for (Op& write : file->unstable) {
      write.stable = FILE_SYNC4;
      process.todo.push_back(write);
    }
    file->unstable.clear();
  }
  file->verifier = answer.verifier;
  if (op.kind == Kind::kCommit) {
    file->unstable.clear();
  } else if (answer.committed == UNSTABLE4) {
    file->unstable.push_back(op);
  }
}

void Client::DoneState(Process& process, const Op& op, const Answer& answer) {
  OpenFile* file = process.Find(op.file);
  if (answer.status != NFS4_OK) return;
  switch (op.kind) {
    case Kind::kOpenConfirm:
      file->to_confirm = false;
      [[fallthrough]];
    case Kind::kDowngrade:
      file->state = answer.state;
      return;
    case Kind::kLock:
      file->lock_state = answer.state;
      Subtract(file->locks, op.offset, op.offset + op.count - 1);
      file->locks.push_back({op.offset, op.offset + op.count - 1, op.write_lock});
      return;
    case Kind::kUnlock:
      file->lock_state = answer.state;
      return;
    default:
      return;
  }
}

}  // namespace tarn::sim
