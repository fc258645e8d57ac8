// Answers taken apart, and operations as text.
#include <cstdio>

#include "tests/sim/op.h"

namespace tarn::sim {

using namespace nfs4;

namespace {

Fh ToFh(xdr::Opaque bytes) {
  return {bytes.begin(), bytes.end()};
}

void TakeEntries(const READDIR4resok& ok, Answer& answer) {
  for (const entry4& entry : ok.reply.entries) {
    nfs_client::Attributes attributes;
    if (!nfs_client::Parse(entry.attrs, attributes)) continue;
    answer.entries.push_back({entry.cookie, std::string(entry.name), attributes.fileid});
  }
  answer.end = ok.reply.eof;
}

void TakeState(const nfs_resop4& result, Answer& answer) {
  if (const auto* open = std::get_if<OPEN4res>(&result.u)) {
    answer.state = open->resok4.stateid;
    answer.rflags = open->resok4.rflags;
  } else if (const auto* confirm = std::get_if<OPEN_CONFIRM4res>(&result.u)) {
    answer.state = confirm->resok4.open_stateid;
  } else if (const auto* down = std::get_if<OPEN_DOWNGRADE4res>(&result.u)) {
    answer.state = down->resok4.open_stateid;
  } else if (const auto* lock = std::get_if<LOCK4res>(&result.u)) {
    answer.state = lock->resok4.lock_stateid;
  } else if (const auto* unlock = std::get_if<LOCKU4res>(&result.u)) {
    answer.state = unlock->lock_stateid;
  } else if (const auto* known = std::get_if<EXCHANGE_ID4res>(&result.u)) {
    answer.client_id = known->eir_resok4.eir_clientid;
    answer.session_sequence = known->eir_resok4.eir_sequenceid;
    answer.confirmed = (known->eir_resok4.eir_flags & EXCHGID4_FLAG_CONFIRMED_R) != 0;
  } else if (const auto* session = std::get_if<CREATE_SESSION4res>(&result.u)) {
    answer.session = session->csr_resok4.csr_sessionid;
  } else if (const auto* set = std::get_if<SETCLIENTID4res>(&result.u)) {
    answer.client_id = set->resok4.clientid;
    answer.verifier = set->resok4.setclientid_confirm;
  }
}

void Take(const nfs_resop4& result, Answer& answer) {
  if (const auto* handle = std::get_if<GETFH4res>(&result.u)) {
    answer.fh = ToFh(handle->resok4.object);
  } else if (const auto* attributes = std::get_if<GETATTR4res>(&result.u)) {
    nfs_client::Attributes parsed;
    if (nfs_client::Parse(attributes->resok4.obj_attributes, parsed)) answer.attributes = parsed;
  } else if (const auto* page = std::get_if<READDIR4res>(&result.u)) {
    TakeEntries(page->resok4, answer);
  } else if (const auto* link = std::get_if<READLINK4res>(&result.u)) {
    answer.text = link->resok4.link;
  } else if (const auto* read = std::get_if<READ4res>(&result.u)) {
    answer.data = ToFh(read->resok4.data);
    answer.end = read->resok4.eof;
  } else if (const auto* written = std::get_if<WRITE4res>(&result.u)) {
    answer.count = written->resok4.count;
    answer.committed = written->resok4.committed;
    answer.verifier = written->resok4.writeverf;
  } else if (const auto* committed = std::get_if<COMMIT4res>(&result.u)) {
    answer.verifier = committed->resok4.writeverf;
  } else {
    TakeState(result, answer);
  }
}

const char* NameOf(Kind kind) {
  static constexpr const char* kNames[] = {"LOOKUP",
                                           "GETATTR",
                                           "READDIR",
                                           "READLINK",
                                           "MKDIR",
                                           "SYMLINK",
                                           "REMOVE",
                                           "RENAME",
                                           "LINK",
                                           "SETATTR mode",
                                           "SETATTR size",
                                           "READ",
                                           "WRITE",
                                           "COMMIT",
                                           "OPEN",
                                           "OPEN_CONFIRM",
                                           "OPEN_DOWNGRADE",
                                           "CLOSE",
                                           "LOCK",
                                           "LOCKT",
                                           "LOCKU",
                                           "RENEW",
                                           "EXCHANGE_ID",
                                           "CREATE_SESSION",
                                           "RECLAIM_COMPLETE",
                                           "SETCLIENTID",
                                           "SETCLIENTID_CONFIRM"};
  return kNames[static_cast<size_t>(kind)];
}

std::string OpenText(const Op& op) {
  std::string text = " a" + std::to_string(op.access) + " d" + std::to_string(op.deny);
  if (op.reclaim) text += " reclaim";
  if (op.create) text += " create" + std::to_string(static_cast<int>(*op.create));
  if (op.truncate) text += " truncate";
  return text;
}

}  // namespace

Answer Parse(const std::vector<std::byte>& reply, bool with_sequence) {
  Answer answer;
  xdr::Decoder from(reply);
  COMPOUND4res decoded;
  if (!Decode(from, decoded) || from.remaining() != 0) return answer;
  answer.status = decoded.status;
  answer.results = decoded.resarray.size();
  size_t index = 0;
  if (with_sequence && !decoded.resarray.empty()) {
    const auto* sequence = std::get_if<SEQUENCE4res>(&decoded.resarray[0].u);
    if (sequence == nullptr) {
      answer.sequence = decoded.status;
      return answer;
    }
    answer.sequence = sequence->sr_status;
    answer.flags = sequence->sr_resok4.sr_status_flags;
    index = 1;
  }
  if (answer.status != NFS4_OK) return answer;
  for (; index < decoded.resarray.size(); ++index) Take(decoded.resarray[index], answer);
  return answer;
}

std::string Describe(const Op& op, const std::function<std::string(const Fh&)>& name_of) {
  std::string text = NameOf(op.kind);
  if (!op.file.empty()) text += " " + name_of(op.file);
  if (!op.name.empty()) text += "/" + op.name;
  if (!op.target.empty()) text += " to " + name_of(op.target) + "/" + op.new_name;
  switch (op.kind) {
    case Kind::kSetMode:
      return text + " " + std::to_string(op.mode);
    case Kind::kSetSize:
      return text + " " + std::to_string(op.size);
    case Kind::kWrite:
      text +=
          " fill " + std::to_string(op.fill) + (op.stable == UNSTABLE4 ? " unstable" : " stable");
      [[fallthrough]];
    case Kind::kRead:
    case Kind::kLock:
    case Kind::kUnlock:
    case Kind::kLockTest:
      text += " [" + std::to_string(op.offset) + " +" + std::to_string(op.count) + ")";
      if (op.reclaim) text += " reclaim";
      return text + (op.write_lock ? " exclusive" : "");
    case Kind::kOpen:
    case Kind::kDowngrade:
      return text + OpenText(op);
    case Kind::kReaddir:
      return text + (op.cookie == 0 ? "" : " further");
    default:
      return text;
  }
}

std::string StatusName(nfsstat4 status) {
  if (status == nfs_client::kNoAnswer) return "no answer";
  return std::string(Name(status));
}

}  // namespace tarn::sim
