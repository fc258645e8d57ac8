#include "tests/sim/simulation.h"

#include <cstdio>

#include "tests/sim/client.h"
#include "tests/sim/walk.h"

namespace tarn::sim {

using namespace std::chrono_literals;

namespace {

constexpr Time kTick = 500ms;
constexpr Time kSettleMax = 300s;  // in which everything must come to rest

}  // namespace

Simulation::Simulation(const Options& options)
    : options_(options),
      trace_(options.print),
      random_(options.seed),
      begin_(clock_.Now()),
      host_(options.engine, clock_, random_) {}

Simulation::~Simulation() = default;

void Simulation::At(Time delay, std::function<void()> what) {
  events_.emplace(std::pair(now() + delay, next_event_++), std::move(what));
}

void Simulation::Note(const std::string& line) {
  char head[48];
  double seconds = std::chrono::duration<double>(now() - begin_).count();
  std::snprintf(head, sizeof(head), "%8llu %10.6f ", static_cast<unsigned long long>(step_),
                seconds);
  trace_.Note(head + line);
}

void Simulation::Fail(const std::string& what) {
  trace_.Fail(what);
}

std::string Simulation::Text(const Request& request) {
  std::string who = "c" + std::to_string(request.actor) + ".p" + std::to_string(request.process) +
                    " r" + std::to_string(request.number) + " ";
  return who + Describe(request.op, [this](const Fh& fh) { return model_.tree.NameOf(fh); });
}

bool Simulation::Run() {
  StartServer();
  if (trace_.failed()) return false;
  model_.tree.SetRoot(host_.RootHandle());
  uint64_t clients = random_.Between(2, 4);
  for (Actor actor = 1; actor <= clients; ++actor) {
    uint32_t minor = 0;
    do {
      minor = static_cast<uint32_t>(random_.Below(kMinors));
    } while ((options_.minors >> minor & 1) == 0);
    clients_.push_back(std::make_unique<Client>(*this, actor, minor));
    clients_.back()->Start();
  }
  At(std::chrono::milliseconds(random_.Between(50, 8000)), [this] { BreakSome(); });
  At(std::chrono::milliseconds(random_.Between(1000, 90'000)), [this] { KillSome(); });
  At(kTick, [this] { TickServer(); });
  At(std::chrono::milliseconds(random_.Between(1000, 60'000)), [this] { FailSome(); });
  while (!trace_.failed() && step_ < options_.steps && !events_.empty()) {
    auto first = events_.begin();
    clock_.Advance(std::max(Time{}, first->first.first - now()));
    auto what = std::move(first->second);
    events_.erase(first);
    ++step_;
    what();
  }
  if (!trace_.failed() && Settle()) CheckEnd();
  return !trace_.failed();
}

// Nothing goes wrong any more and clients begin nothing: all must come to rest.
bool Simulation::Settle() {
  quiet_ = true;
  Note("settle");
  Heal(next_faults_);
  if (!host_.up()) StartServer();
  Time until = now() + kSettleMax;
  auto resting = [this] {
    for (const auto& client : clients_) {
      if (!client->Rests()) return false;
    }
    return true;
  };
  while (!trace_.failed() && !resting()) {
    auto first = events_.begin();
    if (first == events_.end() || first->first.first > until) {
      for (const auto& client : clients_) {
        if (!client->Rests()) Fail("client never came to rest: " + client->Where());
      }
      break;
    }
    clock_.Advance(std::max(Time{}, first->first.first - now()));
    auto what = std::move(first->second);
    events_.erase(first);
    ++step_;
    what();
  }
  return !trace_.failed();
}

void Simulation::CheckEnd() {
  Tree tree = model_.tree;
  std::string wrong = CompareWithEngine(tree, host_);
  if (wrong.empty()) wrong = CheckEngine(host_);
  if (!wrong.empty()) return Fail("at the end: " + wrong);
  KillServer(Death::kPowerCut);
  StartServer();
}

void Simulation::StartServer() {
  if (host_.up()) return;
  uint64_t failed = host_.failed_calls();
  Time begin = now();
  std::string wrong = host_.Start();
  if (!wrong.empty() && host_.failed_calls() > failed) {
    // Which file of the database it was is not for the trace: its own threads number them.
    Note("the server does not start, since the disk fails");
    At(kTick, [this] { StartServer(); });
    return;
  }
  if (!wrong.empty()) return Fail("the server does not start: " + wrong);
  Note("server starts");
  started_ = begin;
  verifier_ = host_.files().WriteVerifier();
  if (host_.run() > 1) Recover();
  grace_ = host_.InGrace();
  FollowGrace();
}

void Simulation::Recover() {
  if (outcomes_.empty()) outcomes_.push_back(model_.tree);
  size_t sure = outcomes_.size();
  for (Tree& undone : model_.Undone()) outcomes_.push_back(std::move(undone));
  std::string first_wrong;
  bool found = false;
  for (size_t at = 0; at < outcomes_.size() && !found; ++at) {
    Tree tree = outcomes_[at];
    tree.Restart();
    std::string wrong = CompareWithEngine(tree, host_);
    if (at == 0) first_wrong = wrong;
    if (!wrong.empty()) continue;
    found = true;
    bool done = at > 0 && at < sure;
    if (cut_off_) Note("  " + Text(*cut_off_) + (done ? " was done" : " was not done"));
    if (at >= sure) Note("  what had failed is gone");
    model_.Adopt(at < sure ? 0 : at - sure + 1);
    if (done) {
      model_.Done(*cut_off_, std::move(tree));
    } else {
      model_.tree = std::move(tree);
    }
  }
  outcomes_.clear();
  cut_off_.reset();
  if (!found) return Fail("after a restart: " + first_wrong);
  std::string wrong = CheckEngine(host_);
  if (!wrong.empty()) return Fail("after a restart: " + wrong);
  model_.Restarted(now(), host_.disk_failed());
}

DieIn Simulation::Fate(uint32_t of_thousand) {
  if (quiet_ || !random_.Chance(of_thousand)) return {};
  DieIn die;
  if (random_.Chance(500)) die.how = Death::kPowerCut;
  bool by_disk = options_.engine == EngineKind::kLocal && random_.Chance(700);
  (by_disk ? die.disk_calls : die.changes) = static_cast<uint32_t>(random_.Between(1, 6));
  return die;
}

// In the middle of something.
void Simulation::Died() {
  ++counts_.killed_inside;
  KillServer(Death::kKill);
  At(std::chrono::milliseconds(random_.Between(10, 3000)), [this] { StartServer(); });
}

void Simulation::KillServer(Death how) {
  if (!host_.up()) return;
  Note(how == Death::kKill ? "server dies" : "power is cut");
  ++counts_.kills;
  model_.Died();
  host_.Kill(how);
  std::vector<ConnectionNo> all;
  for (const auto& [number, connection] : connections_) all.push_back(number);
  for (ConnectionNo number : all) Break(number);
}

void Simulation::TickServer() {
  if (host_.up()) {
    uint64_t failed = host_.failed_calls();
    bool over = now() > started_ + 2 * kLease + kTick;  // while somebody reclaims
    bool died = host_.Tick(Fate(2));
    bool faulty = host_.failed_calls() > failed;
    if (faulty) {
      Note("the disk fails in the server's maintenance");
      model_.FailedMaintenance();
    }
    if (!died && over && !faulty && host_.InGrace()) Fail("the grace period does not end");
    full_ = host_.faults().fills();
    if (died) {
      Note("the server dies in its maintenance");
      model_.DiedInMaintenance();
      Died();
    } else {
      FollowVerifier();
      FollowGrace();
      // A run that begins without a grace period releases what was unlinked at its first tick.
      if (!grace_ && !faulty) model_.EndGrace();
    }
  }
  At(kTick, [this] { TickServer(); });
}

// The server says itself whether it is in grace; what it may say is checked here.
void Simulation::FollowGrace() {
  if (!host_.up()) return;
  bool grace = host_.InGrace();
  if (!grace && now() < started_ + kLease && model_.GraceDue()) {
    Fail("the grace period ended before those who held state had reclaimed it");
  }
  if (!grace && grace_) model_.EndGrace();
  if (!grace && now() == started_) model_.held.EndGrace();
  if (grace_ != grace) Note("grace period over");
  grace_ = grace;
}

Time Simulation::Delay() {
  uint64_t kind = random_.Below(1000);
  if (kind < 900) return std::chrono::microseconds(random_.Between(30, 500));
  if (kind < 995) return std::chrono::microseconds(random_.Between(500, 20'000));
  return std::chrono::milliseconds(random_.Between(20, 3000));
}

Simulation::ConnectionNo Simulation::Connect(Client& client) {
  if (!host_.up()) return 0;
  connections_[++next_connection_] = {&client, host_.run(), now(), now()};
  return next_connection_;
}

void Simulation::Send(ConnectionNo to, const std::shared_ptr<Request>& request) {
  auto found = connections_.find(to);
  if (found == connections_.end()) return;
  Connection& connection = found->second;
  connection.last_there = std::max(connection.last_there, now() + Delay());
  uint32_t run = connection.run;
  Time waits = random_.Chance(100) ? Delay() : 0ns;  // for a worker
  At(connection.last_there + waits - now(),
     [this, to, run, request] { Execute(to, run, request); });
}

void Simulation::Execute(ConnectionNo from, uint32_t run, const std::shared_ptr<Request>& request) {
  if (!host_.up() || run != host_.run()) return;
  // What a client sent before its connection broke comes through, or not.
  if (!connections_.contains(from) && random_.Chance(500)) return;
  // Where a 4.0 owner is not confirmed yet, an old OPEN of it that comes late is taken for a new
  // one (RFC 7530 section 16.18.5): the protocol's own weakness.
  bool late = request->minor == 0 && request->answered && request->op.kind == Kind::kOpen;
  if (late) return;
  FollowGrace();
  ++counts_.executed;
  if (request->executed) ++counts_.again;
  Context context{.now = now(), .run = host_.run(), .grace = host_.InGrace()};
  bool again = request->executed;
  uint64_t failed = host_.failed_calls();
  Host::Execution done = host_.Execute(*request, from, Fate(2));
  context.end = now();
  context.faulty = host_.failed_calls() > failed;
  context.full = full_;
  std::string text = Text(*request) + (again ? " (again)" : "");
  if (done.died) {
    Note(text + ": the server dies in it");
    cut_off_ = request;
    model_.CutOff(*request, outcomes_, context);
    Died();
    return;
  }
  FollowVerifier();
  std::string wrong = model_.Executed(*request, done.reply, context);
  const Answer& seen = request->seen;
  text += " -> " + StatusName(seen.sequence != nfs4::NFS4_OK ? seen.sequence : seen.status);
  if (!seen.fh.empty()) text += " " + model_.tree.NameOf(seen.fh);
  Note(text);
  if (!wrong.empty()) return Fail(Text(*request) + ": " + wrong);
  if (request->failed) FollowDisk(request);
  FollowGrace();
  Reply(from, request, done.reply);
}

void Simulation::Reply(ConnectionNo to, const std::shared_ptr<Request>& request,
                       const std::vector<std::byte>& reply) {
  auto found = connections_.find(to);
  if (found == connections_.end()) return;
  Connection& connection = found->second;
  connection.last_back = std::max(connection.last_back, now() + Delay());
  At(connection.last_back - now(), [this, to, request, reply] {
    auto still = connections_.find(to);
    if (still != connections_.end()) still->second.client->Answered(request, reply);
  });
}

void Simulation::Break(ConnectionNo number) {
  auto found = connections_.find(number);
  if (found == connections_.end()) return;
  Client* client = found->second.client;
  connections_.erase(found);
  ++counts_.breaks;
  At(Delay(), [client, number] { client->ConnectionLost(number); });
}

// An operation met an error of the disk. What it left is to be all of it or nothing.
void Simulation::FollowDisk(const std::shared_ptr<Request>& request) {
  if (request->op.kind == Kind::kWrite) {
    Host::Calm calm(host_);
    auto found = host_.files().GetAttributes({}, host_.FileOf(request->op.file));
    bool fine = found.ok() && model_.FailedWrite(*request, found->size, found->change);
    std::string left = found ? std::to_string(found->size) + " bytes" : found.error().ToString();
    if (!fine) Fail(Text(*request) + ": it failed and left " + left + ", which cannot be");
    return;
  }
  std::string first_wrong;
  std::vector<Tree> outcomes = model_.OutcomesOf(*request);
  for (size_t at = 0; at < outcomes.size(); ++at) {
    std::string wrong = CompareVisible(outcomes[at], host_);
    if (wrong.empty()) {
      if (at > 0) Note("  it is seen all the same");
      return model_.Failed(request, std::move(outcomes[at]), at > 0);
    }
    if (at == 0) first_wrong = wrong;
  }
  Fail(Text(*request) + ": it failed, and then " + first_wrong);
}

void Simulation::FollowVerifier() {
  uint64_t verifier = host_.files().WriteVerifier();
  if (std::exchange(verifier_, verifier) != verifier) model_.NextEpoch();
}

void Simulation::FailSome() {
  if (quiet_ || !options_.faults || options_.engine != EngineKind::kLocal) return;
  host_.SetFaults(PickFaults(random_));
  Note(host_.faults().Text());
  full_ = full_ || host_.faults().fills();
  uint64_t number = ++next_faults_;
  At(std::chrono::milliseconds(random_.Between(10, random_.Chance(100) ? 20'000 : 2000)),
     [this, number] { Heal(number); });
  At(std::chrono::milliseconds(random_.Between(2500, 60'000)), [this] { FailSome(); });
}

void Simulation::Heal(uint64_t number) {
  if (number != next_faults_ || !host_.faults().any()) return;
  host_.SetFaults({});
  Note(host_.faults().Text());
}

void Simulation::BreakSome() {
  if (quiet_) return;
  if (!connections_.empty()) {
    auto at = connections_.begin();
    std::advance(at, random_.Below(connections_.size()));
    Note("connection of c" + std::to_string(at->second.client->actor()) + " breaks");
    Break(at->first);
  }
  At(std::chrono::milliseconds(random_.Between(50, 8000)), [this] { BreakSome(); });
}

void Simulation::KillSome() {
  if (quiet_) return;
  KillServer(random_.Chance(500) ? Death::kKill : Death::kPowerCut);
  bool long_down = random_.Chance(100);
  uint64_t down_ms = long_down ? random_.Between(10'000, 50'000) : random_.Between(10, 5000);
  At(std::chrono::milliseconds(down_ms), [this] { StartServer(); });
  At(std::chrono::milliseconds(random_.Between(1000, 90'000)), [this] { KillSome(); });
}

}  // namespace tarn::sim
