// Making files: OPEN with an open owner of the pool, then CLOSE.
#include <random>

#include "csi/mount/fuse/state.h"
#include "csi/mount/fuse/state_seqid.h"

namespace tarn::fuse {

std::unique_ptr<State::OpenOwner> State::TakeOwner() {
  std::lock_guard lock(mutex_);
  while (!idle_owners_.empty()) {
    auto owner = std::move(idle_owners_.back());
    idle_owners_.pop_back();
    if (owner->epoch == epoch_) return owner;
  }
  auto owner = std::make_unique<OpenOwner>();
  owner->number = next_number_++;
  owner->epoch = epoch_;
  return owner;
}

void State::GiveOwner(std::unique_ptr<OpenOwner> owner) {
  std::lock_guard lock(mutex_);
  if (idle_owners_.size() < kIdleOwnersMax) idle_owners_.push_back(std::move(owner));
}

Status State::Create(const Caller& caller, const FileHandle& directory, std::string_view name,
                     CreateHow how, const AttributeChange& attributes, Created& created) {
  OpenRequest request;
  request.access = OPEN4_SHARE_ACCESS_BOTH;
  request.how = how;
  request.name = name;
  AttributeChange later;
  if (how == CreateHow::kExclusive) {
    later = attributes;
    later.set |= AttributeChange::kAtimeNow | AttributeChange::kMtimeNow;
    std::random_device random;
    for (char& byte : request.verifier) byte = static_cast<char>(random());
  } else {
    request.attributes = attributes;
  }
  return UntilAnswered(caller, BadSeqid::kTryAgain, [&] {  // with another owner
    auto owner = TakeOwner();
    Status status = CreateOnce(caller, directory, request, later, *owner, created);
    if (OwnerIsUsable(status)) GiveOwner(std::move(owner));
    return status;
  });
}

Status State::CreateOnce(const Caller& caller, const FileHandle& directory, OpenRequest& request,
                         const AttributeChange& later, OpenOwner& owner, Created& created) {
  request.seqid = owner.seqid;
  request.owner = NameOf(owner.number);
  Results results =
      client_.Once(caller, Compound().PutFh(directory).Open(request).GetFh().GetAttr());
  results.Op(OP_PUTFH);
  Results::Opened opened = results.Open();
  Status of_open = results.status();
  created.handle = results.GetFh();
  created.attributes = results.GetAttr();
  MoveSeqid(owner.seqid, results, OP_OPEN, of_open);
  if (of_open != NFS4_OK) return of_open;
  if (created.handle.empty()) return results.status();
  if (opened.confirm) {
    Status status = Confirm(caller, created.handle, owner, opened.state);
    if (status != NFS4_OK) return status;
  }
  return FinishCreate(caller, opened.state, later, owner, created);
}

Status State::Confirm(const Caller& caller, const FileHandle& file, OpenOwner& owner,
                      StateId& open) {
  Results results = client_.Once(caller, Compound().PutFh(file).OpenConfirm(open, owner.seqid));
  results.Op(OP_PUTFH);
  open = results.State(OP_OPEN_CONFIRM);
  MoveSeqid(owner.seqid, results, OP_OPEN_CONFIRM, results.status());
  return results.status();
}

// Closes, and sets the attributes that an exclusive create could not.
Status State::FinishCreate(const Caller& caller, const StateId& open, const AttributeChange& later,
                           OpenOwner& owner, Created& created) {
  Compound request;
  request.PutFh(created.handle).Close(open, owner.seqid);
  if (later.set != 0) request.SetAttr(later).GetAttr();
  Results results = client_.Once(caller, request);
  results.Op(OP_PUTFH);
  results.State(OP_CLOSE);
  MoveSeqid(owner.seqid, results, OP_CLOSE, results.status());
  if (later.set == 0) {
    // The file is made; an open that could not be closed ends with the server's restart or our
    // lease.
    return OwnerIsUsable(results.status()) || IsLost(results.status()) ? NFS4_OK : results.status();
  }
  results.SetAttr();
  Attributes attributes = results.GetAttr();
  if (results.ok()) {
    created.attributes = attributes;
    return NFS4_OK;
  }
  if (!IsLost(results.status()) && !IsLater(results.status())) return results.status();
  // The server restarted in between: the open is gone, the file is there without its attributes.
  Results set = client_.Run(caller, Compound().PutFh(created.handle).SetAttr(later).GetAttr());
  set.Op(OP_PUTFH);
  set.SetAttr();
  attributes = set.GetAttr();
  if (set.ok()) created.attributes = attributes;
  return set.status();
}

}  // namespace tarn::fuse
