// A whole simulation from one seed: server, clock, network, clients, and what goes wrong.
//
// Everything happens in events on one thread, in the order of a simulated clock. A connection is
// two FIFOs of records with delays of their own; the server executes a record at a moment after it
// came, so records of one connection may overtake each other there, as they do among real workers.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "tests/sim/host.h"
#include "tests/sim/model.h"
#include "tests/sim/random.h"
#include "tests/sim/trace.h"

namespace tarn::sim {

class Client;

struct Options {
  uint64_t seed = 1;
  uint64_t steps = 20'000;  // events; after them all goes well until the end is checked
  EngineKind engine = EngineKind::kMemory;
  uint32_t minors = (1U << kMinors) - 1;  // a bit for each version that clients may speak
  bool faults = false;                    // of the local engine's disk
  bool print = false;
};

struct Counts {
  uint64_t executed = 0;
  uint64_t again = 0;  // executed more than once
  uint64_t kills = 0;
  uint64_t killed_inside = 0;  // in the middle of a request
  uint64_t breaks = 0;
  uint64_t failed_calls = 0;  // of the disk
  uint64_t reboots = 0;
  uint64_t reclaimed = 0;
  uint64_t lost = 0;  // opens that a client could not get back
};

class Simulation {
 public:
  explicit Simulation(const Options& options);
  ~Simulation();
  // False: see trace().
  bool Run();
  const Trace& trace() const { return trace_; }
  const Counts& counts() const { return counts_; }
  uint64_t steps() const { return step_; }
  std::chrono::nanoseconds simulated() const { return clock_.Now() - begin_; }

  // --- for clients ---
  using ConnectionNo = uint64_t;
  uint32_t run() const { return host_.run(); }
  Time now() const { return clock_.Monotonic(); }
  Random& random() { return random_; }
  Model& model() { return model_; }
  Counts& counts() { return counts_; }
  bool quiet() const { return quiet_; }  // nothing new is begun
  void At(Time delay, std::function<void()> what);
  void Note(const std::string& line);
  void Fail(const std::string& what);
  std::string Text(const Request& request);
  // 0: the server cannot be reached now.
  ConnectionNo Connect(Client& client);
  void Send(ConnectionNo connection, const std::shared_ptr<Request>& request);
  void Close(ConnectionNo connection) { connections_.erase(connection); }
  uint64_t NextNumber() { return ++next_number_; }

 private:
  struct Connection {
    Client* client = nullptr;
    uint32_t run = 0;  // of the server that it goes to
    Time last_there{};
    Time last_back{};
  };
  void StartServer();
  void KillServer(Death how);
  // Whether, and how, the server is to die in what it does next.
  DieIn Fate(uint32_t of_thousand);
  void Died();
  // The request that a death cut off, and what it may have done.
  void Recover();
  void Execute(ConnectionNo from, uint32_t run, const std::shared_ptr<Request>& request);
  void Reply(ConnectionNo to, const std::shared_ptr<Request>& request,
             const std::vector<std::byte>& reply);
  void Break(ConnectionNo connection);
  void BreakSome();
  void KillSome();
  void TickServer();
  void FailSome();
  void Heal(uint64_t number);
  // After it, the disk has failed or not.
  void FollowDisk(const std::shared_ptr<Request>& request);
  void FollowVerifier();
  void FollowGrace();
  bool Settle();
  void CheckEnd();
  Time Delay();

  const Options options_;
  Trace trace_;
  Counts counts_;
  Random random_;
  ManualClock clock_;
  const Time begin_;
  Model model_;
  Host host_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::multimap<std::pair<Time, uint64_t>, std::function<void()>> events_;
  uint64_t next_event_ = 0;
  uint64_t step_ = 0;
  bool quiet_ = false;
  bool grace_ = false;
  bool full_ = false;  // until the server has looked at the disk again
  uint64_t verifier_ = 0;
  uint64_t next_faults_ = 0;
  Time started_{};
  std::map<ConnectionNo, Connection> connections_;
  ConnectionNo next_connection_ = 0;
  uint64_t next_number_ = 0;
  std::shared_ptr<Request> cut_off_;
  std::vector<Tree> outcomes_;
};

}  // namespace tarn::sim
