// The one implementation of Server (server.h). Its functions are in three files: server.cc is what
// the server's own thread and its callers do, entrance.cc how a connection comes to make calls
// (TLS, the gate), workers.cc how calls are run.
#pragma once

#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <thread>
#include <unordered_map>

#include "common/fair_bound.h"
#include "common/log_ration.h"
#include "common/waiting.h"
#include "server/rpc/call_header.h"
#include "server/rpc/connection.h"
#include "server/rpc/gate.h"
#include "server/rpc/handshakes.h"
#include "server/rpc/listeners.h"
#include "server/rpc/security.h"
#include "server/rpc/server.h"
#include "server/rpc/worker_pool.h"

namespace tarn::rpc {

inline constexpr uint64_t kNoListener = 2;  // whose connections the server opened itself

// An epoll set that closes itself.
struct Epoll {
  const int fd = epoll_create1(EPOLL_CLOEXEC);
  Epoll() = default;
  ~Epoll() {
    if (fd >= 0) close(fd);
  }
  Epoll(const Epoll&) = delete;
  Epoll& operator=(const Epoll&) = delete;
};

// What one worker keeps from call to call, and counts. On lines of its own: no two workers share.
struct alignas(64) Desk : public CallObserver, public WaitObserver {
  void AboutToWait() override {
    if (reading == nullptr) return;
    SendHeld(*reading);
    std::exchange(reading, nullptr)->Rearm();
  }
  void SendHeld(Connection& connection) {
    if (held.empty()) return;
    Reply before;
    before.held.swap(held);
    if (!connection.Send(before, pieces)) held.swap(before.held);  // keeps its memory
  }

  Connection* reading = nullptr;  // whose read token this worker has
  // Small replies to calls behind which more calls were here already: they leave together. Empty
  // whenever this worker may wait.
  std::vector<std::byte> held;
  Buffer scratch;
  Record record;
  CallHeader header;
  rejected_reply denied;
  Reply reply;
  std::vector<iovec> pieces;
  std::atomic<uint64_t> calls{0}, bad_records{0}, bytes_in{0}, bytes_out{0};
};

// Only the owner writes: no locked instruction is needed.
inline void Count(std::atomic<uint64_t>& counter, uint64_t by) {
  counter.store(counter.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
}

class TcpServer;

// The way back to the server of those who may outlive it.
class Backlink {
 public:
  explicit Backlink(TcpServer& server) : server_(&server) {}
  void Detach() {
    std::lock_guard lock(mutex_);
    server_ = nullptr;
  }

 protected:
  std::mutex mutex_;
  TcpServer* server_;  // null: it has gone; guarded by mutex_
};

// What clients' callback addresses are dialed with, for as long as the server lives.
class ServerDialer : public Dialer, public Backlink {
 public:
  using Backlink::Backlink;
  std::shared_ptr<CallChannel> Dial(const std::string& address, uint16_t port) override;
};

// Verdicts of the gate, which may come when the connection or the server has gone.
class VerdictBox : public Backlink {
 public:
  using Backlink::Backlink;
  void Deliver(ConnectionId connection, Ruling ruling, std::shared_ptr<const Admission> admission,
               std::string why);
};

class TcpServer : public Server {
 public:
  TcpServer(const ServerOptions& options, Program& program, Guard guard)
      : options_(options),
        program_(program),
        guard_(std::move(guard)),
        pool_(options.record_bytes_max),
        dialer_(std::make_shared<ServerDialer>(*this)),
        home_{program, pool_, flush_set_, read_set_.fd, options.pending_bytes_per_connection_max,
              dialer_},
        listeners_(own_set_.fd),
        handshakes_(options.handshakes),
        verdicts_(std::make_shared<VerdictBox>(*this)),
        desks_(std::max(1U, options.workers_max)),
        workers_(
            read_set_.fd, WorkersMin(options), std::max(1U, options.workers_max),
            [this](size_t index, const epoll_event& event) {
              Serve(*static_cast<Connection*>(event.data.ptr), desks_[index]);
            },
            [this] { Wake(); }) {}

  ~TcpServer() override;
  Result<void> Begin();
  Result<Listener> Listen(const std::string& address, uint16_t port, uint64_t tag) override;
  void StopListening(uint64_t id) override;
  ServerCounters counters() const override;
  size_t Recheck(const Keep& keep) override;
  std::shared_ptr<CallChannel> Dial(const std::string& address, uint16_t port);
  std::shared_ptr<Connection> Find(ConnectionId id) const;

 private:
  static uint32_t WorkersMin(const ServerOptions& options);

  // --- the server's own thread: accepting, flushing, growing, dropping who stalls ---
  void Supervise();
  int SuperviseTimeout() const;
  void DropStalled();
  void DropLateHandshakes();
  void Admit(int fd, Peer peer, uint64_t listener);
  void Wake();

  // --- workers: until a connection's calls are run ---
  // Finds out what a new connection speaks, and drives its handshake. False: the token is given
  // away.
  bool Prepare(Connection& connection, Desk& desk);
  bool BeginTls(Connection& connection, bool rpc_with_tls);
  bool DriveHandshake(Connection& connection);
  void FailHandshake(Connection& connection, HandshakeFailure why, const std::string& text);
  void CountFailure(HandshakeFailure why) {
    handshakes_failed_[static_cast<size_t>(why)].fetch_add(1);
  }
  // Whether the record in `desk` may be run. False: the token is given away.
  bool Enter(Connection& connection, Desk& desk);
  bool TakesTlsProbe(Connection& connection, const Desk& desk) const;
  bool AnswerTlsProbe(Connection& connection, Desk& desk);
  bool AskGate(Connection& connection, Desk& desk);
  // Answers the call with AUTH_TOOWEAK and closes.
  // With an answer that says so, and without.
  bool TurnAway(Connection& connection, Desk& desk, const std::string& why);
  bool SendOff(Connection& connection, Desk& desk, const std::string& why);

  // --- workers: calls ---
  // Runs what the connection holds, record by record, as long as this worker has its read token.
  void Serve(Connection& connection, Desk& desk);
  // The next record, `again` if this turn had one before. False when the token is given away.
  bool ServeOne(Connection& connection, Desk& desk, bool again);
  bool Run(Connection& connection, Desk& desk);
  // On a connection that the server opened. False when it is gone.
  bool TakeOurReply(Connection& connection, Desk& desk);
  bool Hold(Connection& connection, Desk& desk);
  void SendReply(Connection& connection, Desk& desk);
  // Puts the call's reply into desk.reply; false when the bytes are no call.
  bool Answer(Connection& connection, Desk& desk);
  void Drop(Connection& connection, Desk& desk, const std::string& why);
  void EndReading(Connection& connection);

  std::vector<std::shared_ptr<Connection>> Connections() const;
  // With mutex_ held. False: there are too many, or too many of its host.
  bool Enlist(const std::shared_ptr<Connection>& connection);
  void Forget(const std::shared_ptr<Connection>& connection);

  const ServerOptions options_;
  Program& program_;
  const Guard guard_;
  const bool program_tells_waits_ = program_.TellsWaits();
  BufferPool pool_;
  FlushSet flush_set_;
  Epoll read_set_;
  Epoll own_set_;
  const std::shared_ptr<ServerDialer> dialer_;
  const Connection::Home home_;
  Listeners listeners_;
  Handshakes handshakes_;
  const std::shared_ptr<VerdictBox> verdicts_;
  std::vector<Desk> desks_;  // by worker index
  WorkerPool workers_;
  std::thread supervisor_;
  int wake_event_ = -1;
  std::atomic<bool> stopping_{false};
  std::atomic<uint64_t> accepted_{0}, refused_{0}, tls_connections_{0}, handshakes_done_{0},
      turned_away_{0};
  std::array<std::atomic<uint64_t>, kHandshakeFailures> handshakes_failed_{};
  std::atomic<uint64_t> rechecks_{0};
  LogRation refusals_log_;
  std::atomic<ConnectionId> next_connection_{1};
  Monotonic::time_point stalls_checked_ = Monotonic::now();
  mutable std::mutex mutex_;
  // Those whose read side is open; guarded by mutex_.
  std::unordered_map<ConnectionId, std::shared_ptr<Connection>> connections_;
  FairBound connections_bound_{options_.connections_max};
  std::unordered_map<std::string, FairBound::Part> by_host_;  // guarded by mutex_
};

}  // namespace tarn::rpc
