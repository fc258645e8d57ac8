#include "server/rpc/server.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <thread>
#include <unordered_map>

#include "common/log.h"
#include "common/waiting.h"
#include "server/rpc/call_header.h"
#include "server/rpc/connection.h"
#include "server/rpc/listeners.h"
#include "server/rpc/worker_pool.h"

namespace tarn::rpc {
namespace {

constexpr uint64_t kWake = 0;
constexpr uint64_t kFlush = 1;
constexpr uint64_t kNoListener = 2;              // whose connections the server opened itself
constexpr std::chrono::milliseconds kRest{100};  // of listeners when file descriptors ran out
constexpr std::chrono::milliseconds kStallCheckMax{1000};
constexpr uint32_t kWorkersLeast = 8;
constexpr int kRecordsPerTurn = 64;          // of one connection, then others have theirs
constexpr size_t kHeldBytesMax = 64 * 1024;  // of replies that wait for those behind them
// Copying so much costs less than a system call.
constexpr size_t kHeldReplyBytesMax = 8 * 1024;
constexpr uint64_t kRefusalsPerLine = 1000;  // so that a flood does not fill the log

uint32_t WorkersMin(const ServerOptions& options) {
  uint32_t wanted = options.workers_min;
  if (wanted == 0) wanted = std::max(kWorkersLeast, 2 * std::thread::hardware_concurrency());
  return std::clamp(wanted, 1U, std::max(1U, options.workers_max));
}

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
void Count(std::atomic<uint64_t>& counter, uint64_t by) {
  counter.store(counter.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
}

class TcpServer;

// What clients' callback addresses are dialed with, for as long as the server lives.
class ServerDialer : public Dialer {
 public:
  explicit ServerDialer(TcpServer& server) : server_(&server) {}
  std::shared_ptr<CallChannel> Dial(const std::string& address, uint16_t port) override;
  void Detach() {
    std::lock_guard lock(mutex_);
    server_ = nullptr;
  }

 private:
  std::mutex mutex_;
  TcpServer* server_;  // guarded by mutex_
};

class TcpServer : public Server {
 public:
  TcpServer(const ServerOptions& options, Program& program)
      : options_(options),
        program_(program),
        pool_(options.record_bytes_max),
        dialer_(std::make_shared<ServerDialer>(*this)),
        home_{program, pool_, flush_set_, read_set_.fd, options.pending_bytes_per_connection_max,
              dialer_},
        listeners_(own_set_.fd),
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
  std::shared_ptr<CallChannel> Dial(const std::string& address, uint16_t port);

 private:
  // --- the server's own thread: accepting, flushing, growing, dropping who stalls ---
  void Supervise();
  int SuperviseTimeout() const;
  void DropStalled();
  void Admit(int fd, Peer peer, uint64_t listener);
  void Wake();

  // --- workers ---
  // Runs what the connection holds, record by record, as long as this worker has its read token.
  void Serve(Connection& connection, Desk& desk);
  // The next record, `again` if this turn had one before. False when the token is given away.
  bool ServeOne(Connection& connection, Desk& desk, bool again);
  bool Run(Connection& connection, Desk& desk);
  bool Hold(Connection& connection, Desk& desk);
  void SendReply(Connection& connection, Desk& desk);
  // Puts the call's reply into desk.reply; false when the bytes are no call.
  bool Answer(Connection& connection, Desk& desk);
  void Drop(Connection& connection, Desk& desk, const std::string& why);
  void EndReading(Connection& connection);

  std::vector<std::shared_ptr<Connection>> Connections() const;

  const ServerOptions options_;
  Program& program_;
  const bool program_tells_waits_ = program_.TellsWaits();
  BufferPool pool_;
  FlushSet flush_set_;
  Epoll read_set_;
  Epoll own_set_;
  const std::shared_ptr<ServerDialer> dialer_;
  const Connection::Home home_;
  Listeners listeners_;
  std::vector<Desk> desks_;  // by worker index
  WorkerPool workers_;
  std::thread supervisor_;
  int wake_event_ = -1;
  std::atomic<bool> stopping_{false};
  std::atomic<uint64_t> accepted_{0}, refused_{0};
  std::atomic<ConnectionId> next_connection_{1};
  Monotonic::time_point stalls_checked_ = Monotonic::now();
  mutable std::mutex mutex_;
  // Those whose read side is open; guarded by mutex_.
  std::unordered_map<ConnectionId, std::shared_ptr<Connection>> connections_;
};

Result<void> TcpServer::Begin() {
  wake_event_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  epoll_event wake{.events = EPOLLIN, .data = {.u64 = kWake}};
  epoll_event flush{.events = EPOLLIN, .data = {.u64 = kFlush}};
  bool ok = read_set_.fd >= 0 && own_set_.fd >= 0 && flush_set_.fd() >= 0 && wake_event_ >= 0 &&
            epoll_ctl(own_set_.fd, EPOLL_CTL_ADD, wake_event_, &wake) == 0 &&
            epoll_ctl(own_set_.fd, EPOLL_CTL_ADD, flush_set_.fd(), &flush) == 0 && workers_.Start();
  if (!ok) {
    return Error(Code::kUnavailable,
                 "cannot start the RPC server: no file descriptors or threads left; raise the "
                 "limits (ulimit -n, ulimit -u)");
  }
  supervisor_ = std::thread([this] { Supervise(); });
  return Ok();
}

TcpServer::~TcpServer() {
  stopping_.store(true);
  listeners_.CloseAll();
  Wake();
  if (supervisor_.joinable()) supervisor_.join();
  dialer_->Detach();
  workers_.Stop();
  for (const auto& connection : Connections()) connection->EndChannel();
  flush_set_.Clear();
  connections_.clear();  // the last owners: closes the sockets
  if (wake_event_ >= 0) close(wake_event_);
}

Result<Server::Listener> TcpServer::Listen(const std::string& address, uint16_t port,
                                           uint64_t tag) {
  TRY(Listeners::Opened opened, listeners_.Open(address, port, tag));
  return Listener{.id = opened.id, .port = opened.port};
}

void TcpServer::StopListening(uint64_t id) {
  listeners_.Close(id);
  for (const auto& connection : Connections()) {
    if (connection->listener_id() == id) connection->Kick();
  }
  for (const auto& connection : flush_set_.All()) {
    if (connection->listener_id() == id) connection->Kick();
  }
}

ServerCounters TcpServer::counters() const {
  ServerCounters sum{.accepted = accepted_.load(), .refused = refused_.load()};
  for (const Desk& desk : desks_) {
    sum.calls += desk.calls.load(std::memory_order_relaxed);
    sum.bad_records += desk.bad_records.load(std::memory_order_relaxed);
    sum.bytes_in += desk.bytes_in.load(std::memory_order_relaxed);
    sum.bytes_out += desk.bytes_out.load(std::memory_order_relaxed);
  }
  std::lock_guard lock(mutex_);
  sum.connections = connections_.size();
  return sum;
}

std::vector<std::shared_ptr<Connection>> TcpServer::Connections() const {
  std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<Connection>> all;
  all.reserve(connections_.size());
  for (const auto& [id, connection] : connections_) all.push_back(connection);
  return all;
}

// --- the server's own thread ---

void TcpServer::Wake() {
  uint64_t one = 1;
  // A full counter is readable too, so that a failed write loses nothing.
  [[maybe_unused]] ssize_t written = write(wake_event_, &one, sizeof(one));
}

int TcpServer::SuperviseTimeout() const {
  auto timeout =
      std::min(std::chrono::duration_cast<std::chrono::milliseconds>(options_.send_timeout) / 4,
               kStallCheckMax);
  if (listeners_.resting()) timeout = std::min(timeout, kRest);
  if (workers_.saturated()) timeout = std::min(timeout, WorkerPool::kGrowInterval);
  return static_cast<int>(std::max<int64_t>(timeout.count(), 1));
}

void TcpServer::Supervise() {
  auto rested = Monotonic::now();
  std::array<epoll_event, 64> events;
  while (!stopping_.load()) {
    int count = epoll_wait(own_set_.fd, events.data(), events.size(), SuperviseTimeout());
    for (int i = 0; i < count; ++i) {
      uint64_t what = events[static_cast<size_t>(i)].data.u64;
      if (what == kWake) {
        uint64_t drained = 0;
        [[maybe_unused]] ssize_t got = read(wake_event_, &drained, sizeof(drained));
      } else if (what == kFlush) {
        flush_set_.Drain();
      } else {
        listeners_.Accept(what, [this](int fd, Peer peer, uint64_t listener) {
          Admit(fd, std::move(peer), listener);
        });
        if (listeners_.resting()) rested = Monotonic::now();
      }
    }
    auto now = Monotonic::now();
    if (listeners_.resting() && now - rested >= kRest) listeners_.Resume();
    if (workers_.saturated()) workers_.Grow();
    if (now - stalls_checked_ >=
        std::min<Monotonic::duration>(options_.send_timeout / 4, kStallCheckMax)) {
      stalls_checked_ = now;
      DropStalled();
    }
  }
}

void TcpServer::DropStalled() {
  Monotonic::time_point oldest = Monotonic::now() - options_.send_timeout;
  auto now = Monotonic::now();
  auto drop = [this, now, oldest](const std::vector<std::shared_ptr<Connection>>& all) {
    for (const auto& connection : all) {
      connection->ExpireCalls(now);
      if (connection->StalledSince() > oldest) continue;
      spdlog::info("dropped {} port {}: for {} s it took no reply, or sent no more of a record",
                   connection->peer().address, connection->peer().port,
                   options_.send_timeout.count());
      connection->Kick();
    }
  };
  drop(Connections());
  drop(flush_set_.All());
}

void TcpServer::Admit(int fd, Peer peer, uint64_t listener) {
  peer.connection = next_connection_.fetch_add(1);
  auto connection = std::make_shared<Connection>(home_, fd, std::move(peer), listener);
  {
    std::lock_guard lock(mutex_);
    if (connections_.size() < options_.connections_max) {
      connections_.emplace(connection->peer().connection, connection);
      accepted_.fetch_add(1);
      if (connection->Watch()) return;
      connections_.erase(connection->peer().connection);
    }
  }
  if (refused_.fetch_add(1) % kRefusalsPerLine != 0) return;
  spdlog::warn("refused a connection of {}: there are {}", connection->peer().address,
               options_.connections_max);
}

std::shared_ptr<CallChannel> ServerDialer::Dial(const std::string& address, uint16_t port) {
  std::lock_guard lock(mutex_);
  return server_ == nullptr ? nullptr : server_->Dial(address, port);
}

std::shared_ptr<CallChannel> TcpServer::Dial(const std::string& address, uint16_t port) {
  int fd = StartConnecting(address, port);
  if (fd < 0) return nullptr;
  Peer peer{.connection = next_connection_.fetch_add(1), .address = address, .port = port};
  auto connection = std::make_shared<Connection>(home_, fd, std::move(peer), kNoListener);
  std::shared_ptr<CallChannel> channel = connection->Channel();
  std::lock_guard lock(mutex_);
  if (connections_.size() >= options_.connections_max) return nullptr;
  connections_.emplace(connection->peer().connection, connection);
  if (connection->Watch()) return channel;
  connections_.erase(connection->peer().connection);
  return nullptr;
}

// --- workers ---

void TcpServer::Serve(Connection& connection, Desk& desk) {
  connection.TakeToken();
  // Once it is armed again another worker may end it.
  std::shared_ptr<Connection> alive = connection.shared_from_this();
  for (int records = 0; records < kRecordsPerTurn; ++records) {
    if (!ServeOne(connection, desk, records > 0)) return;
    bool more = connection.reader().HasRecord();
    if (more) connection.NoteInARow(true);
    if (!connection.MayReadOn() || (!more && !connection.in_a_row())) break;
  }
  desk.SendHeld(connection);
  connection.Rearm();
}

bool TcpServer::ServeOne(Connection& connection, Desk& desk, bool again) {
  if (!desk.scratch.data) desk.scratch = NewBuffer(RecordReader::kScratchBytes);
  std::string why;
  RecordReader& reader = connection.reader();
  auto status = reader.Read(connection.fd(), options_.record_bytes_max, pool_,
                            desk.scratch.data.get(), desk.record, why);
  if (status != RecordReader::Status::kRecord) desk.SendHeld(connection);
  switch (status) {
    case RecordReader::Status::kRecord:
      if (again) connection.NoteInARow(true);
      return Run(connection, desk);
    case RecordReader::Status::kAgain:
      if (again) connection.NoteInARow(false);
      connection.NoteReading(reader.InRecord());
      connection.Rearm();
      return false;
    case RecordReader::Status::kClosed:
      EndReading(connection);
      return false;
    case RecordReader::Status::kBad:
      Drop(connection, desk, why);
      return false;
  }
  return false;
}

bool TcpServer::Run(Connection& connection, Desk& desk) {
  size_t cost = desk.record.bytes.size();
  Count(desk.bytes_in, cost + sizeof(uint32_t));
  connection.NoteReading(connection.reader().InRecord());
  connection.AddPending(cost);
  desk.reading = &connection;
  if (!program_tells_waits_) desk.AboutToWait();
  WaitScope scope(&desk);
  if (Answer(connection, desk)) {
    Count(desk.calls, 1);
    Count(desk.bytes_out, desk.reply.bytes.size());
    if (!Hold(connection, desk)) SendReply(connection, desk);
  } else if (!connection.TakeReply(desk.record.bytes)) {
    Count(desk.bad_records, 1);
    spdlog::info("dropped {} port {}: a record of {} bytes that is no RPC call",
                 connection.peer().address, connection.peer().port, cost);
    connection.Kick();
  }
  pool_.Give(std::move(desk.record.large));
  connection.RemovePending(cost);
  return std::exchange(desk.reading, nullptr) != nullptr;
}

// More calls of this connection are here, and this worker will run the next one at once: then one
// system call will send its reply and this one.
bool TcpServer::Hold(Connection& connection, Desk& desk) {
  bool may = desk.reading != nullptr && connection.reader().HasRecord() &&
             desk.reply.bytes.size() <= kHeldReplyBytesMax &&
             desk.held.size() + desk.reply.bytes.size() <= kHeldBytesMax;
  if (!may) return false;
  desk.reply.bytes.AppendTo(desk.held);
  desk.reply.bytes.Clear();  // lets go of what it holds
  return true;
}

void TcpServer::SendReply(Connection& connection, Desk& desk) {
  // A queued reply takes along what it may point into.
  bool in_scratch = !desk.record.large.data;
  desk.reply.request = std::move(in_scratch ? desk.scratch : desk.record.large);
  desk.reply.held.swap(desk.held);
  if (connection.Send(desk.reply, desk.pieces)) return;
  desk.held.swap(desk.reply.held);
  (in_scratch ? desk.scratch : desk.record.large) = std::move(desk.reply.request);
  desk.reply.bytes.Clear();
}

bool TcpServer::Answer(Connection& connection, Desk& desk) {
  xdr::Decoder arguments(desk.record.bytes);
  xdr::Encoder& reply = desk.reply.bytes;
  CallHeader& header = desk.header;
  switch (ReadCallHeader(arguments, header, desk.denied)) {
    case HeaderStatus::kNoCall:
      return false;
    case HeaderStatus::kDenied:
      DenyReply(reply, header.xid, desk.denied);
      FinishReply(reply);
      return true;
    case HeaderStatus::kCall:
      break;
  }
  version_range versions = program_.versions();
  if (header.program != program_.number()) {
    FailReply(reply, header.xid, PROG_UNAVAIL);
  } else if (header.version < versions.low || header.version > versions.high) {
    FailReply(reply, header.xid, PROG_MISMATCH, versions);
  } else {
    BeginReply(reply, header.xid);
    Call call{.xid = header.xid,
              .version = header.version,
              .procedure = header.procedure,
              .credential = header.credential,
              .peer = connection.peer(),
              .observer = &desk,
              .origin = &connection};
    accept_stat stat = program_.Handle(call, arguments, reply);
    if (stat != SUCCESS) FailReply(reply, header.xid, stat);
  }
  FinishReply(reply);
  return true;
}

void TcpServer::Drop(Connection& connection, Desk& desk, const std::string& why) {
  Count(desk.bad_records, 1);
  spdlog::info("dropped {} port {}: {}", connection.peer().address, connection.peer().port, why);
  connection.Kick();
  EndReading(connection);
}

void TcpServer::EndReading(Connection& connection) {
  connection.EndReading();
  std::shared_ptr<Connection> last;  // released after the lock: its end calls the program
  std::lock_guard lock(mutex_);
  auto found = connections_.find(connection.peer().connection);
  last = std::move(found->second);
  connections_.erase(found);
}

}  // namespace

Result<std::unique_ptr<Server>> Server::Start(const ServerOptions& options, Program& program) {
  auto server = std::make_unique<TcpServer>(options, program);
  TRY(server->Begin());
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace tarn::rpc
