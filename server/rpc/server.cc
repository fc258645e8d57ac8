#include "server/rpc/server.h"

#include <sys/eventfd.h>

#include <algorithm>

#include "common/log.h"
#include "server/rpc/tcp_server.h"

namespace tarn::rpc {
namespace {

constexpr uint64_t kWake = 0;
constexpr uint64_t kFlush = 1;
constexpr std::chrono::milliseconds kRest{100};  // of listeners when file descriptors ran out
constexpr std::chrono::milliseconds kStallCheckMax{1000};
constexpr uint32_t kWorkersLeast = 8;
constexpr uint64_t kRefusalsPerLine = 1000;  // so that a flood does not fill the log

}  // namespace

uint32_t TcpServer::WorkersMin(const ServerOptions& options) {
  uint32_t wanted = options.workers_min;
  if (wanted == 0) wanted = std::max(kWorkersLeast, 2 * std::thread::hardware_concurrency());
  return std::clamp(wanted, 1U, std::max(1U, options.workers_max));
}

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
  verdicts_->Detach();
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
  sum.tls_connections = tls_connections_.load();
  sum.handshakes_done = handshakes_done_.load();
  sum.handshakes_open = handshakes_.size();
  sum.turned_away = turned_away_.load();
  for (size_t i = 0; i < kHandshakeFailures; ++i) {
    sum.handshakes_failed[i] = handshakes_failed_[i].load();
  }
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

size_t TcpServer::Recheck(const Keep& keep) {
  // First: who is admitted meanwhile looks at it afterwards (AskGate).
  rechecks_.fetch_add(1);
  size_t dropped = 0;
  auto check = [&keep, &dropped](const std::vector<std::shared_ptr<Connection>>& all) {
    for (const auto& connection : all) {
      bool stays = connection->listener_id() == kNoListener || !connection->admitted() ||
                   keep(connection->peer());
      if (stays) continue;
      spdlog::info("dropped {} port {}: it has lost its rights", connection->peer().address,
                   connection->peer().port);
      connection->Kick();
      ++dropped;
    }
  };
  check(Connections());
  check(flush_set_.All());
  return dropped;
}

std::shared_ptr<Connection> TcpServer::Find(ConnectionId id) const {
  std::lock_guard lock(mutex_);
  auto found = connections_.find(id);
  return found == connections_.end() ? nullptr : found->second;
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
  timeout = std::min(timeout, options_.handshakes.timeout / 4);
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
    DropLateHandshakes();
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
      const auto for_record = Connection::kRecordTimeouts * options_.send_timeout;
      bool trickles = connection->Trickles(now - for_record);
      if (!trickles && connection->StalledSince() > oldest) continue;
      if (refusals_log_.Take()) {
        spdlog::info("dropped {} port {}: {} {} s", connection->peer().address,
                     connection->peer().port,
                     trickles ? "a record was not there after"
                              : "it took no reply, or sent no more of a record, for",
                     (trickles ? for_record : options_.send_timeout).count());
      }
      connection->Kick();
    }
  };
  drop(Connections());
  drop(flush_set_.All());
}

void TcpServer::DropLateHandshakes() {
  for (const auto& connection : handshakes_.TakeLate(Monotonic::now())) {
    CountFailure(HandshakeFailure::kDeadline);
    connection->Kick();
  }
}

bool TcpServer::Enlist(const std::shared_ptr<Connection>& connection) {
  const Peer& peer = connection->peer();
  auto part = by_host_.try_emplace(HostOf(peer.address), 0).first;
  if (!connections_bound_.Take(part->second, 1)) {
    if (part->second == 0) by_host_.erase(part);
    return false;
  }
  connections_.emplace(peer.connection, connection);
  return true;
}

void TcpServer::Forget(const std::shared_ptr<Connection>& connection) {
  auto part = by_host_.find(HostOf(connection->peer().address));
  connections_bound_.Give(part->second, 1);
  if (part->second == 0) by_host_.erase(part);
  connections_.erase(connection->peer().connection);
}

void TcpServer::Admit(int fd, Peer peer, uint64_t listener) {
  peer.connection = next_connection_.fetch_add(1);
  auto connection = std::make_shared<Connection>(home_, fd, std::move(peer), listener);
  {
    std::lock_guard lock(mutex_);
    if (Enlist(connection)) {
      accepted_.fetch_add(1);
      if (connection->Watch()) return;
      Forget(connection);
    }
  }
  if (refused_.fetch_add(1) % kRefusalsPerLine != 0) return;
  spdlog::warn("refused a connection of {}: there are {} of {}, or it has its part of them",
               connection->peer().address, connections_bound_.held(), options_.connections_max);
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
  connection->Open();
  std::lock_guard lock(mutex_);
  if (!Enlist(connection)) return nullptr;
  if (connection->Watch()) return channel;
  Forget(connection);
  return nullptr;
}

Result<std::unique_ptr<Server>> Server::Start(const ServerOptions& options, Program& program,
                                              Guard guard) {
  auto server = std::make_unique<TcpServer>(options, program, std::move(guard));
  TRY(server->Begin());
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace tarn::rpc
