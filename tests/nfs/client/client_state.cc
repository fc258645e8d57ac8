// Open files, their data, and byte-range locks.
#include "tests/nfs/client/client.h"

namespace tarn::nfs_client {

using namespace nfs4;

uint32_t Client::OwnerSequence(const std::string& owner) const {
  auto found = owner_next_.find(owner);
  return options_.minor > 0 || found == owner_next_.end() ? 0 : found->second;
}

void Client::CountOwner(const std::string& owner, nfsstat4 status) {
  if (status == kNoAnswer) return;
  switch (status) {
    case NFS4ERR_STALE_CLIENTID:
    case NFS4ERR_STALE_STATEID:
    case NFS4ERR_BAD_STATEID:
    case NFS4ERR_BAD_SEQID:
    case NFS4ERR_BADXDR:
    case NFS4ERR_RESOURCE:
    case NFS4ERR_NOFILEHANDLE:
    case NFS4ERR_MOVED:
      return;
    default:
      ++owner_next_[owner];
  }
}

Answer<OpenFile> Client::Open(const Fh& directory, std::string_view name,
                              const OpenRequest& request) {
  open_claim4 claim;
  claim.claim = CLAIM_NULL;
  claim.file = name;
  return OpenClaim(directory, claim, request);
}

Answer<OpenFile> Client::OpenClaim(const Fh& fh, const open_claim4& claim,
                                   const OpenRequest& request) {
  EncodedAttributes attributes(request.attributes);
  openflag4 how;
  if (request.create) {
    how.opentype = OPEN4_CREATE;
    how.how.mode = *request.create;
    how.how.createattrs = attributes.view();
    how.how.createverf = request.verifier;
    how.how.ch_createboth = {.cva_verf = request.verifier, .cva_attrs = attributes.view()};
  }
  Compound compound;
  compound.Put(fh)
      .Add(OP_OPEN, OPEN4args{.seqid = OwnerSequence(request.owner),
                              .share_access = request.access,
                              .share_deny = request.deny,
                              .owner = {.clientid = client_id_, .owner = AsOpaque(request.owner)},
                              .openhow = how,
                              .claim = claim})
      .GetFh();
  CompoundReply reply = Run(compound);
  CountOwner(request.owner,
             reply.size() < 2 && reply.status != kNoAnswer ? NFS4ERR_NOFILEHANDLE : reply.status);
  Answer<OpenFile> answer{.status = reply.status, .value = {}};
  if (!answer.ok()) return answer;
  answer->result = reply.Get<OPEN4res>(1).resok4;
  answer->state = answer->result.stateid;
  answer->owner = request.owner;
  xdr::Opaque made = reply.Get<GETFH4res>(2).resok4.object;
  answer->fh.assign(made.begin(), made.end());
  if ((answer->result.rflags & OPEN4_RESULT_CONFIRM) == 0) return answer;
  return ConfirmOpen(std::move(answer.value));
}

Answer<OpenFile> Client::ConfirmOpen(OpenFile file) {
  Compound compound;
  compound.Put(file.fh).Add(OP_OPEN_CONFIRM, OPEN_CONFIRM4args{.open_stateid = file.state,
                                                               .seqid = OwnerSequence(file.owner)});
  CompoundReply reply = Run(compound);
  CountOwner(file.owner, reply.status);
  if (reply.status == NFS4_OK) file.state = reply.Get<OPEN_CONFIRM4res>(1).resok4.open_stateid;
  return {.status = reply.status, .value = std::move(file)};
}

Answer<OpenFile> Client::Create(const Fh& directory, std::string_view name, uint32_t mode) {
  OpenRequest request;
  request.create = UNCHECKED4;
  request.attributes.mode = mode;
  return Open(directory, name, request);
}

nfsstat4 Client::Close(OpenFile& file) {
  Compound compound;
  compound.Put(file.fh).Add(
      OP_CLOSE, CLOSE4args{.seqid = OwnerSequence(file.owner), .open_stateid = file.state});
  CompoundReply reply = Run(compound);
  CountOwner(file.owner, reply.status);
  if (reply.status == NFS4_OK) file.state = reply.Get<CLOSE4res>(1).open_stateid;
  return reply.status;
}

nfsstat4 Client::ReturnDelegation(const Fh& fh, const stateid4& delegation) {
  Compound compound;
  compound.Put(fh).Add(OP_DELEGRETURN, DELEGRETURN4args{.deleg_stateid = delegation});
  return Run(compound).status;
}

nfsstat4 Client::TestState(const stateid4& state) {
  Compound compound;
  compound.Add(OP_TEST_STATEID, TEST_STATEID4args{.ts_stateids = {state}});
  CompoundReply reply = Run(compound);
  if (reply.status != NFS4_OK) return reply.status;
  return reply.Get<TEST_STATEID4res>(0).tsr_resok4.tsr_status_codes.at(0);
}

nfsstat4 Client::Downgrade(OpenFile& file, uint32_t access, uint32_t deny) {
  Compound compound;
  compound.Put(file.fh).Add(OP_OPEN_DOWNGRADE,
                            OPEN_DOWNGRADE4args{.open_stateid = file.state,
                                                .seqid = OwnerSequence(file.owner),
                                                .share_access = access,
                                                .share_deny = deny});
  CompoundReply reply = Run(compound);
  CountOwner(file.owner, reply.status);
  if (reply.status == NFS4_OK) file.state = reply.Get<OPEN_DOWNGRADE4res>(1).resok4.open_stateid;
  return reply.status;
}

Answer<ReadAnswer> Client::Read(const Fh& fh, const stateid4& state, uint64_t offset,
                                uint32_t count) {
  Compound compound;
  compound.Put(fh).Add(OP_READ, READ4args{.stateid = state, .offset = offset, .count = count});
  CompoundReply reply = Run(compound);
  Answer<ReadAnswer> answer{.status = reply.status, .value = {}};
  if (!answer.ok()) return answer;
  const READ4resok& ok = reply.Get<READ4res>(1).resok4;
  answer->data.assign(ok.data.begin(), ok.data.end());
  answer->end = ok.eof;
  return answer;
}

Answer<WriteAnswer> Client::Write(const Fh& fh, const stateid4& state, uint64_t offset,
                                  xdr::Opaque data, stable_how4 stable) {
  Compound compound;
  compound.Put(fh).Add(
      OP_WRITE, WRITE4args{.stateid = state, .offset = offset, .stable = stable, .data = data});
  CompoundReply reply = Run(compound);
  Answer<WriteAnswer> answer{.status = reply.status, .value = {}};
  if (!answer.ok()) return answer;
  const WRITE4resok& ok = reply.Get<WRITE4res>(1).resok4;
  answer.value = {.count = ok.count, .committed = ok.committed, .verifier = ok.writeverf};
  return answer;
}

Answer<verifier4> Client::Commit(const Fh& fh, uint64_t offset, uint32_t count) {
  Compound compound;
  compound.Put(fh).Add(OP_COMMIT, COMMIT4args{.offset = offset, .count = count});
  CompoundReply reply = Run(compound);
  Answer<verifier4> answer{.status = reply.status, .value = {}};
  if (answer.ok()) answer.value = reply.Get<COMMIT4res>(1).resok4.writeverf;
  return answer;
}

Answer<LockState> Client::Lock(OpenFile& file, const std::string& owner, nfs_lock_type4 type,
                               uint64_t offset, uint64_t length, bool reclaim) {
  LOCK4args args{
      .locktype = type, .reclaim = reclaim, .offset = offset, .length = length, .locker = {}};
  args.locker.new_lock_owner = true;
  args.locker.open_owner = {.open_seqid = OwnerSequence(file.owner),
                            .open_stateid = file.state,
                            .lock_seqid = OwnerSequence(owner),
                            .lock_owner = {.clientid = client_id_, .owner = AsOpaque(owner)}};
  Compound compound;
  compound.Put(file.fh).Add(OP_LOCK, args);
  CompoundReply reply = Run(compound);
  CountOwner(file.owner, reply.status);
  // A denied first lock makes no lock state, so the lock owner has used no sequence id yet.
  if (reply.status == NFS4_OK) CountOwner(owner, reply.status);
  Answer<LockState> answer{.status = reply.status, .value = {}};
  if (answer.ok()) {
    answer.value = {.state = reply.Get<LOCK4res>(1).resok4.lock_stateid, .owner = owner};
  } else if (answer.status == NFS4ERR_DENIED) {
    const LOCK4denied& denied = reply.Get<LOCK4res>(1).denied;
    conflict_ = {denied.offset, denied.length, denied.locktype,
                 AsText({denied.owner.owner.begin(), denied.owner.owner.end()})};
  }
  return answer;
}

nfsstat4 Client::LockMore(const OpenFile& file, LockState& lock, nfs_lock_type4 type,
                          uint64_t offset, uint64_t length) {
  LOCK4args args{
      .locktype = type, .reclaim = false, .offset = offset, .length = length, .locker = {}};
  args.locker.lock_owner = {.lock_stateid = lock.state, .lock_seqid = OwnerSequence(lock.owner)};
  Compound compound;
  compound.Put(file.fh).Add(OP_LOCK, args);
  CompoundReply reply = Run(compound);
  CountOwner(lock.owner, reply.status);
  if (reply.status == NFS4_OK) lock.state = reply.Get<LOCK4res>(1).resok4.lock_stateid;
  return reply.status;
}

nfsstat4 Client::Unlock(const OpenFile& file, LockState& lock, uint64_t offset, uint64_t length) {
  Compound compound;
  compound.Put(file.fh).Add(OP_LOCKU, LOCKU4args{.locktype = WRITE_LT,
                                                 .seqid = OwnerSequence(lock.owner),
                                                 .lock_stateid = lock.state,
                                                 .offset = offset,
                                                 .length = length});
  CompoundReply reply = Run(compound);
  CountOwner(lock.owner, reply.status);
  if (reply.status == NFS4_OK) lock.state = reply.Get<LOCKU4res>(1).lock_stateid;
  return reply.status;
}

Answer<Conflict> Client::TestLock(const Fh& fh, const std::string& owner, nfs_lock_type4 type,
                                  uint64_t offset, uint64_t length) {
  Compound compound;
  compound.Put(fh).Add(OP_LOCKT,
                       LOCKT4args{.locktype = type,
                                  .offset = offset,
                                  .length = length,
                                  .owner = {.clientid = client_id_, .owner = AsOpaque(owner)}});
  CompoundReply reply = Run(compound);
  Answer<Conflict> answer{.status = reply.status, .value = {}};
  if (answer.status == NFS4ERR_DENIED) {
    const LOCK4denied& denied = reply.Get<LOCKT4res>(1).denied;
    answer.value = {denied.offset, denied.length, denied.locktype,
                    AsText({denied.owner.owner.begin(), denied.owner.owner.end()})};
  }
  return answer;
}

nfsstat4 Client::FreeState(const stateid4& state) {
  Compound compound;
  compound.Add(OP_FREE_STATEID, FREE_STATEID4args{.fsa_stateid = state});
  return Run(compound).status;
}

nfsstat4 Client::ReleaseLockOwner(const std::string& owner) {
  Compound compound;
  compound.Add(
      OP_RELEASE_LOCKOWNER,
      RELEASE_LOCKOWNER4args{.lock_owner = {.clientid = client_id_, .owner = AsOpaque(owner)}});
  return Run(compound).status;
}

}  // namespace tarn::nfs_client
