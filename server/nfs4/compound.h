// One COMPOUND while it runs (RFC 7530 section 14.2, RFC 8881 section 16.2): current and saved file
// handle, current stateid, session, caller.
//
// The dispatcher decodes one operation at a time, so that a broken later one does not keep the
// earlier ones from being done and answered. Threads: one worker.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "server/nfs4/services.h"
#include "server/nfs4/status.h"
#include "server/rpc/program.h"

namespace tarn::nfs4 {

class Compound {
 public:
  Compound(Services& with, const rpc::Call& from_call, xdr::Decoder& arguments,
           xdr::Encoder& results)
      : services(with), call(from_call), from(arguments), to(results) {}

  // Runs all of it. Not SUCCESS only if not even its head can be decoded.
  rpc::accept_stat Run();

  Services& services;
  const rpc::Call& call;
  xdr::Decoder& from;
  xdr::Encoder& to;
  uint32_t minor = 0;
  uint32_t operations = 0;  // how many the client sent

  CurrentFile current;
  CurrentFile saved;
  std::optional<stateid4> current_stateid;  // 4.1
  std::optional<stateid4> saved_stateid;
  // Attributes of the current file that an operation of this compound just learnt, for GETATTR.
  std::optional<vfs::Attributes> fresh;
  std::shared_ptr<Session> session;  // of the SEQUENCE before, 4.1
  std::shared_ptr<Client> client;    // the session's
  // 4.1: the first of its slot since a restart. It may have been sent to the last run.
  bool may_be_of_last_run = false;

  // Set by an operation that wrote a body although it failed.
  bool keep_body = false;
  // 4.1: what SEQUENCE found: this compound runs in a slot, or is an old one's retransmission.
  void RunInSlot(uint32_t slot, uint32_t sequence, bool cache) {
    slot_ = SlotInUse{slot, sequence, cache};
  }
  void ReplaceReply(const std::vector<std::byte>& reply);
  // 4.1: SEQUENCE's flags come next, and tell of a restart. Unless the client has begun to reclaim
  // when this compound is done.
  void TellsOfRestart(uint32_t flags) { restart_told_ = RestartTold{to.mark(), flags}; }
  uint64_t Fingerprint() const;
  size_t request_bytes() const { return request_.size(); }
  // What has been read so far may differ between transmissions of one request, as the highest slot
  // in SEQUENCE does: it is no part of the fingerprint.
  // 4.1: the request that runs, for a callback about what it gives.
  std::optional<ReferringCall> referring() const {
    if (!slot_) return std::nullopt;
    return ReferringCall{.session = session->id, .slot = slot_->slot, .sequence = slot_->sequence};
  }
  void StartFingerprintHere() { request_ = from.rest(); }
  bool is_last() const { return done_ == operations; }

  // --- what operations use ---
  const Export& exported() const { return *current.exported; }
  vfs::FileSystem& engine() const { return *current.exported->engine; }
  // The caller as the export of the file has it: its user replaced, its realm as the limit.
  const vfs::Caller& CallerFor(const CurrentFile& file);
  const vfs::Caller& caller() { return CallerFor(current); }
  Principal principal() const { return {call.credential.flavor, call.credential.uid}; }
  const rpc::PeerIdentity& identity() const { return call.peer.identity(); }
  // Makes it current, with nothing known of it.
  void SetCurrent(CurrentFile file);
  void SetCurrent(std::shared_ptr<const Export> exported, vfs::FileId id) {
    SetCurrent({std::move(exported), id});
  }
  // Fresh attributes, or those of the engine. NFS4ERR_STALE and the like.
  nfsstat4 Attributes(vfs::Attributes& attributes);
  // The root export of the connection that the call came by. Whether it may enter is not asked.
  nfsstat4 RootExport(std::shared_ptr<const Export>& root);
  // What the connection may do there.
  const Rights& RightsTo(const Export& exported) {
    if (!rights_to_.Is(exported)) AskForRights(exported);
    return rights_;
  }
  // NFS4ERR_ACCESS: neither use it nor pass through its root.
  nfsstat4 MayEnter(const Export& exported);
  // Of the file system behind the connection, wherever it leads into that.
  nfsstat4 FileSystemRoot(std::shared_ptr<const Export>& root);
  // The ClientKey's text of a client that gives itself this name.
  nfsstat4 KeyOfClient(xdr::Opaque owner, std::string& key);

  // Finds an open or lock state. Resolves the current stateid and checks client, sequence and (if
  // `same_file`) that it is of the current file. Not for special stateids. Renews the lease in 4.0.
  nfsstat4 FindState(const stateid4& stateid, std::shared_ptr<State>& state, bool same_file = true);
  // The state of that name, whatever its sequence; closed ones too. Renews in 4.0.
  nfsstat4 FindNamed(const stateid4& stateid, std::shared_ptr<State>& state);
  nfsstat4 CheckSeqid(const State& state, uint32_t seqid) const;

  // May I/O with this stateid be done on the current file? `opened`: an open allows it, so mode
  // bits are not checked again. Without an open, delegations of others are recalled first.
  nfsstat4 CheckIo(const stateid4& stateid, bool read, bool write, bool& opened);

  // Before a change of a file that the caller need not have open: delegations of others are
  // recalled (NFS4ERR_DELAY), and none is given until this operation ends. `by`: who does it, if
  // known otherwise than by the session.
  nfsstat4 BeginChange(const CurrentFile& file, const Client* by = nullptr);
  // The same of a name in a directory; one that is not there is nobody's.
  nfsstat4 BeginChange(const CurrentFile& directory, std::string_view name);
  // Before something is told of the current file that a holder of a write delegation may have
  // changed already.
  nfsstat4 RecallWrites(const Client* by = nullptr);

  // Runs one operation of a 4.0 owner in its turn; a retransmission gets the last reply. The
  // owner's mutex is held by the caller.
  nfsstat4 InTurn(Sequence& sequence, uint32_t seqid, const std::function<nfsstat4()>& operation);

 private:
  struct SlotInUse {
    uint32_t slot = 0;
    uint32_t sequence = 0;
    bool cache = false;
  };

  struct RestartTold {
    xdr::Encoder::Mark at;
    uint32_t flags = 0;
  };

  bool DecodeHead(std::string_view& tag);
  void RunAll();
  void RunOne(nfs_opnum4 number, uint32_t index);
  nfsstat4 Admit(nfs_opnum4 number, uint32_t index);
  void AskForRights(const Export& exported);
  // Of an operation on the current file: `passing`, it may be done on a root that is passed
  // through.
  nfsstat4 MayUseCurrent(bool passing) {
    return RightsTo(exported()).mount ? NFS4_OK : MayPassCurrent(passing);
  }
  nfsstat4 MayPassCurrent(bool passing);
  nfsstat4 CheckReplySize(nfs_opnum4 number);
  // Names the operation to the engine, so that after a restart it is not done twice.
  void TagCaller(uint32_t index);
  // 4.0: true if the reply of an earlier transmission was put in place of this one's.
  bool Replayed();
  void Finish();
  void FinishOperation(nfs_opnum4 number, const xdr::Encoder::Mark& status_at,
                       const xdr::Encoder::Mark& body_at, nfsstat4 status);

  xdr::Opaque request_;
  xdr::Encoder::Mark reply_at_{};
  xdr::Encoder::Mark count_at_{};
  uint32_t done_ = 0;
  nfsstat4 status_ = NFS4_OK;
  bool replaced_ = false;
  std::optional<SlotInUse> slot_;
  std::optional<RestartTold> restart_told_;
  std::vector<Delegations::Change> changes_;  // of the operation that runs
  std::optional<ReplayCache::Key> replay_key_;
  // By its numbers: what was once at an address may be freed while the compound runs, and another
  // export come to be there.
  struct ExportName {
    uint32_t file_system = 0;  // 0: none
    uint64_t number = 0;
    bool Is(const Export& exported) const {
      return file_system == exported.file_system && number == exported.number;
    }
  };
  ExportName rights_to_;
  Rights rights_;
  ExportName caller_of_;
  vfs::Caller caller_;
};

}  // namespace tarn::nfs4
