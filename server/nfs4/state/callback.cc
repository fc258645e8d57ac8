#include "server/nfs4/state/callback.h"

#include <algorithm>

#include "common/log.h"

namespace tarn::nfs4 {
namespace {

constexpr uint32_t kCallbackVersion40 = 1;
constexpr uint32_t kCallbackVersion = 1;  // of 4.1 and later, too (RFC 5662)
constexpr uint32_t kTagBytesMax = 1024;
constexpr uint32_t kResultsMax = 8;
// The RPC header with an AUTH_SYS credential of its full size, against ca_maxrequestsize.
constexpr size_t kRpcHeaderBytes = 40;

}  // namespace

Callbacks::~Callbacks() {
  if (dialed_) dialed_->Close();
}

void Callbacks::SendBytes(nfs_cb_opnum4 op, std::vector<std::byte> args, CallbackDone done,
                          const CallbackOptions& options) {
  auto pending = std::make_shared<Pending>();
  pending->op = op;
  pending->args = std::move(args);
  pending->done = std::move(done);
  pending->referring = options.referring;
  pending->give_up_at = clock_.Monotonic() + options.give_up;
  {
    std::lock_guard lock(mutex_);
    if (!abandoned_ && queue_.size() + in_flight_ < kQueuedMax) {
      queue_.push_back(std::move(pending));
      Pump();
      return;
    }
  }
  pending->done({});
}

bool Callbacks::Ready() {
  std::lock_guard lock(mutex_);
  UpdatePaths();
  if (health_ == Health::kDown && clock_.Monotonic() >= ask_after_) health_ = Health::kUnknown;
  if (health_ == Health::kUnknown) Ask();
  if (health_ != Health::kUp) return false;
  Route route;
  Pending null;
  null.null = true;
  return FindRoute(null, route);
}

// Asks by CB_NULL whether the client is there.
void Callbacks::Ask() {
  bool can = address_.dialer != nullptr;
  for (const auto& back : backs_) can = can || (back->terms.usable && !back->paths.empty());
  if (!can) return;
  health_ = Health::kAsking;
  auto pending = std::make_shared<Pending>();
  pending->null = true;
  pending->done = [](const CallbackAnswer&) {};
  pending->give_up_at = clock_.Monotonic() + kGiveUp;
  queue_.push_back(std::move(pending));
  Pump();
}

// --- where it leads ---

void Callbacks::SetAddress(CallbackAddress address) {
  std::lock_guard lock(mutex_);
  if (dialed_) dialed_->Close();
  dialed_.reset();
  address_ = std::move(address);
  health_ = Health::kUnknown;
}

std::shared_ptr<BackChannel> Callbacks::AddSession(const sessionid4& session,
                                                   BackChannelTerms terms) {
  auto back = std::make_shared<BackChannel>();
  back->session = session;
  back->terms = std::move(terms);
  back->slots.resize(std::clamp(back->terms.attributes.ca_maxrequests, 1U, kSlotsMax));
  back->slot_limit = static_cast<uint32_t>(back->slots.size());
  std::lock_guard lock(mutex_);
  backs_.push_back(back);
  UpdatePaths();
  return back;
}

void Callbacks::Bind(BackChannel& back, std::shared_ptr<rpc::CallChannel> path) {
  std::lock_guard lock(mutex_);
  back.terms.wanted = true;
  std::erase(back.paths, path);
  if (back.paths.size() >= kPathsMax) back.paths.erase(back.paths.begin());
  back.paths.push_back(std::move(path));  // the newest is the best known to work
  if (health_ == Health::kDown) health_ = Health::kUnknown;
  Pump();
  UpdatePaths();
}

void Callbacks::SetProgram(BackChannel& back, CallbackProgram program) {
  std::lock_guard lock(mutex_);
  back.terms.program = std::move(program);
  back.terms.usable = true;
  back.fault = false;
  if (health_ == Health::kDown) health_ = Health::kUnknown;
  Pump();
}

void Callbacks::EndSession(const sessionid4& session) {
  std::lock_guard lock(mutex_);
  std::erase_if(backs_, [&](const auto& back) { return back->session == session; });
  UpdatePaths();
}

void Callbacks::UpdatePaths() {
  bool wanted = false;
  bool open = false;
  for (const auto& back : backs_) {
    std::erase_if(back->paths, [](const auto& path) { return !path->open(); });
    back->down = back->terms.wanted && back->paths.empty();
    wanted = wanted || back->terms.wanted;
    open = open || !back->paths.empty();
  }
  path_down_ = wanted && !open;
  if (dialed_ && !dialed_->open()) {
    dialed_.reset();
    if (health_ == Health::kUp) health_ = Health::kUnknown;
  }
}

void Callbacks::DropPath(const Route& route) {
  ask_after_ = clock_.Monotonic() + kAskAgain;
  health_ = Health::kDown;
  if (route.back) {
    std::erase(route.back->paths, route.path);
  } else if (dialed_ == route.path) {
    dialed_->Close();
    dialed_.reset();
  }
  UpdatePaths();
}

bool Callbacks::Route40(Route& route) {
  if (!address_.dialer) return false;
  if (dialed_ && !dialed_->open()) dialed_.reset();
  if (!dialed_) {
    if (health_ == Health::kDown && clock_.Monotonic() < ask_after_) return false;
    dialed_ = address_.dialer->Dial(address_.address, address_.port);
  }
  route.path = dialed_;
  return route.path != nullptr;
}

bool Callbacks::FindRoute(const Pending& pending, Route& route) {
  if (address_.dialer) return Route40(route);
  for (const auto& back : backs_) {
    size_t bytes = pending.args.size() + kRpcHeaderBytes + back->terms.program.credential.size();
    if (!back->terms.usable || bytes > back->terms.attributes.ca_maxrequestsize) continue;
    auto path = std::find_if(back->paths.rbegin(), back->paths.rend(),
                             [](const auto& one) { return one->open(); });
    if (path == back->paths.rend()) continue;
    route.path = *path;
    route.back = back;
    if (pending.null) return true;
    for (route.slot = 0; route.slot < back->slot_limit; ++route.slot) {
      if (!back->slots[route.slot].busy) return true;
    }
  }
  return false;
}

// --- sending ---

void Callbacks::Pump() {
  auto now = clock_.Monotonic();
  for (auto at = queue_.begin(); at != queue_.end();) {
    PendingPtr pending = *at;
    Route route;
    if (pending->not_before > now) {
      ++at;
      continue;
    }
    if (!FindRoute(*pending, route)) return;
    if (Transmit(pending, route)) {
      at = queue_.erase(at);
      continue;
    }
    if (route.path->open()) return;  // it has too much to answer already
    if (route.back) std::erase(route.back->paths, route.path);
    ++at;
  }
}

bool Callbacks::Transmit(const PendingPtr& pending, const Route& route) {
  const CallbackProgram& program = route.back ? route.back->terms.program : address_.program;
  std::vector<std::byte> arguments;
  if (!pending->null) arguments = Compound(*pending, route);
  auto answered = [self = shared_from_this(), pending, route](rpc::CallOutcome outcome,
                                                              xdr::Opaque results) {
    self->Answered(pending, route, outcome, results);
  };
  bool sent = route.path->Send({.program = program.number,
                                .version = route.back ? kCallbackVersion : kCallbackVersion40,
                                .procedure = pending->null ? CB_NULL : CB_COMPOUND,
                                .flavor = program.flavor,
                                .credential = program.credential,
                                .arguments = arguments,
                                .timeout = kAnswerTimeout,
                                .done = std::move(answered)});
  if (!sent) return false;
  if (route.back && !pending->null) route.back->slots[route.slot].busy = true;
  ++in_flight_;
  return true;
}

std::vector<std::byte> Callbacks::Compound(const Pending& pending, const Route& route) const {
  xdr::Encoder to;
  to.PutString("");
  to.Put(route.back ? route.back->terms.minor : 0);
  to.Put(route.back ? 0 : address_.ident);
  to.Put(route.back ? 2U : 1U);
  if (route.back) {
    CB_SEQUENCE4args sequence{.csa_sessionid = route.back->session,
                              .csa_sequenceid = route.back->slots[route.slot].sequence + 1,
                              .csa_slotid = route.slot,
                              .csa_highest_slotid = 0,
                              .csa_cachethis = false,
                              .csa_referring_call_lists = {}};
    for (uint32_t i = 0; i < route.back->slots.size(); ++i) {
      if (i == route.slot || route.back->slots[i].busy) sequence.csa_highest_slotid = i;
    }
    if (pending.referring) {
      const ReferringCall& call = *pending.referring;
      sequence.csa_referring_call_lists.push_back(
          {.rcl_sessionid = call.session,
           .rcl_referring_calls = {{.rc_sequenceid = call.sequence, .rc_slotid = call.slot}}});
    }
    Encode(to, OP_CB_SEQUENCE);
    Encode(to, sequence);
  }
  Encode(to, pending.op);
  to.PutRaw(pending.args);
  return to.Flatten();
}

// --- answers ---

// False: the operation itself was not done.
bool Callbacks::ParseSequence(xdr::Decoder& from, uint32_t slot, Parsed& parsed) {
  nfs_cb_opnum4 op{};
  CB_SEQUENCE4res result;
  if (!Decode(from, op) || op != OP_CB_SEQUENCE || !Decode(from, result)) return false;
  parsed.answer.status = result.csr_status;
  switch (result.csr_status) {
    case NFS4_OK:
      parsed.seen = true;
      parsed.slot_limit = result.csr_resok4.csr_target_highest_slotid;
      return true;
    case NFS4ERR_DELAY:
      parsed.delay = kDelayed;
      break;
    case NFS4ERR_RETRY_UNCACHED_REP:  // an earlier one in this slot did arrive
    case NFS4ERR_SEQ_FALSE_RETRY:
      parsed.seen = true;
      break;
    case NFS4ERR_BADSLOT:
      parsed.slot_limit = slot == 0 ? 0 : slot - 1;
      break;
    case NFS4ERR_SEQ_MISORDERED:
      parsed.lost_count = true;
      break;
    case NFS4ERR_BADSESSION:
      parsed.no_session = true;
      break;
    default:
      return false;
  }
  parsed.again = true;
  return false;
}

Callbacks::Parsed Callbacks::Parse(bool with_sequence, uint32_t slot, xdr::Opaque results) {
  Parsed parsed;
  xdr::Decoder from(results);
  nfsstat4 status{};
  std::string_view tag;
  uint32_t count = 0;
  parsed.answer.status = NFS4ERR_SERVERFAULT;
  bool head = Decode(from, status) && from.GetString(tag, kTagBytesMax) &&
              from.GetCount(count, kResultsMax);
  if (!head) return parsed;
  if (status != NFS4_OK) parsed.answer.status = status;
  if (count == 0 || (with_sequence && !ParseSequence(from, slot, parsed))) return parsed;
  nfs_cb_opnum4 op{};
  if (!Decode(from, op)) return parsed;
  parsed.answer.result = from.rest();
  if (!Decode(from, parsed.answer.status)) parsed.answer.status = NFS4ERR_SERVERFAULT;
  nfsstat4 own = parsed.answer.status;
  parsed.again = own == NFS4ERR_DELAY || (with_sequence && own == NFS4ERR_RETRY_UNCACHED_REP);
  if (own == NFS4ERR_DELAY) parsed.delay = kDelayed;
  return parsed;
}

void Callbacks::TakeParsed(const Parsed& parsed, const Route& route) {
  health_ = Health::kUp;
  if (!route.back) return;
  BackChannel& back = *route.back;
  if (parsed.seen) ++back.slots[route.slot].sequence;
  if (parsed.slot_limit) {
    back.slot_limit =
        std::min(*parsed.slot_limit, static_cast<uint32_t>(back.slots.size()) - 1) + 1;
  }
  if (parsed.lost_count) {
    back.fault = true;
    back.terms.usable = false;
    spdlog::info("nfs: a client counts a slot of its back channel otherwise; it is not used");
  }
  if (parsed.no_session) back.paths.clear();
  if (parsed.no_session || parsed.lost_count) UpdatePaths();
}

void Callbacks::Answered(const PendingPtr& pending, const Route& route, rpc::CallOutcome outcome,
                         xdr::Opaque results) {
  Parsed parsed;
  bool answered = outcome == rpc::CallOutcome::kReply;
  if (answered && !pending->null) parsed = Parse(route.back != nullptr, route.slot, results);
  {
    std::lock_guard lock(mutex_);
    --in_flight_;
    if (route.back && !pending->null) route.back->slots[route.slot].busy = false;
    if (answered) {
      TakeParsed(parsed, route);
    } else {
      DropPath(route);
      parsed.again = !pending->null;
    }
    bool again = parsed.again && !abandoned_;
    if (again) {
      pending->not_before = parsed.delay.count() > 0 ? clock_.Monotonic() + parsed.delay
                                                     : std::chrono::nanoseconds(0);
      queue_.push_front(pending);
    }
    Pump();
    if (again) return;
  }
  if (parsed.again) parsed.answer = {};
  pending->done(parsed.answer);
}

void Callbacks::Tick() {
  std::vector<PendingPtr> late;
  {
    std::lock_guard lock(mutex_);
    auto now = clock_.Monotonic();
    UpdatePaths();
    std::erase_if(queue_, [&](const PendingPtr& pending) {
      if (pending->give_up_at > now) return false;
      if (pending->null && health_ == Health::kAsking) health_ = Health::kUnknown;
      late.push_back(pending);
      return true;
    });
    if (!queue_.empty()) Pump();
  }
  for (const PendingPtr& pending : late) pending->done({});
}

void Callbacks::Abandon() {
  std::list<PendingPtr> left;
  {
    std::lock_guard lock(mutex_);
    abandoned_ = true;
    left.swap(queue_);
    backs_.clear();
    if (dialed_) dialed_->Close();
    dialed_.reset();
    address_ = {};
  }
  for (const PendingPtr& pending : left) pending->done({});
}

}  // namespace tarn::nfs4
