// The running process's side.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <mutex>

#include "common/log.h"
#include "tunnel/handover.h"

namespace tarn::tunnel {
namespace {

constexpr std::chrono::milliseconds kLook{5};  // between two looks whether all have left

// Only who could stop this process anyway.
bool MayTakeOver(int fd) {
  ucred peer{};
  socklen_t bytes = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) != 0) return false;
  return peer.uid == 0 || peer.uid == geteuid();
}

// What departed and is not sent yet; filled by the carrier's threads.
class Departures {
 public:
  void Add(Departure departure) {
    std::lock_guard lock(mutex_);
    queue_.push_back(std::move(departure));
  }
  bool Take(Departure& departure) {
    std::lock_guard lock(mutex_);
    if (queue_.empty()) return false;
    departure = std::move(queue_.front());
    queue_.pop_front();
    return true;
  }

 private:
  std::mutex mutex_;
  std::deque<Departure> queue_;  // as many as there are connections
};

}  // namespace

Result<std::unique_ptr<HandOverServer>> HandOverServer::Start(Parts parts) {
  std::unique_ptr<HandOverServer> server(new HandOverServer(std::move(parts)));
  const std::string& path = server->parts_.path;
  TRY(sockaddr_un at, HandOverAddress(path));
  server->listener_ = Fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  unlink(path.c_str());  // of the process before; whoever has the lock may
  if (bind(server->listener_.get(), reinterpret_cast<sockaddr*>(&at), sizeof at) != 0 ||
      listen(server->listener_.get(), 1) != 0) {
    return Error(Code::kUnavailable, "--state-dir: " + path + ": " + std::strerror(errno));
  }
  server->thread_ = std::thread([raw = server.get()] { raw->Work(); });
  return server;
}

HandOverServer::~HandOverServer() {
  stop_ = true;
  shutdown(listener_.get(), SHUT_RDWR);  // ends accept
  thread_.join();
}

void HandOverServer::Work() {
  while (!stop_ && !done_) {
    Fd peer(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!peer.open()) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      return;
    }
    if (!MayTakeOver(peer.get())) continue;
    HandOverChannel channel(std::move(peer));
    giving_ = true;
    Result<void> given = Give(channel);
    done_ = given.ok();
    giving_ = false;
    if (done_) {
      spdlog::info("another process has taken the mounts over");
    } else {
      spdlog::warn("{}; this process goes on", given.error().message());
      handover::Packet refused;
      refused.mutable_refused()->set_why(given.error().message());
      (void)channel.Send(refused);
    }
  }
}

Result<void> HandOverServer::Give(HandOverChannel& channel) {
  TRY(auto hello, channel.Receive());
  if (!hello.packet.has_hello()) return Error(Code::kProtocol, "hand-over: no Hello");
  uint32_t version = std::min(hello.packet.hello().version_max(), kHandOverVersionMax);
  if (version < std::max(hello.packet.hello().version_min(), kHandOverVersionMin)) {
    return Error(Code::kNotSupported,
                 "hand-over: no common version of the protocol: stop the "
                 "running tarn-tunnel first");
  }
  spdlog::info("another process takes the mounts over");
  parts_.stop_managing();
  handover::Packet welcome;
  welcome.mutable_welcome()->set_version(version);
  Result<void> given = channel.Send(welcome, parts_.lock);
  if (given.ok()) given = GiveListeners(channel);
  if (given.ok()) {
    parts_.carrier.PauseListeners();
    given = GiveConnections(channel);
    if (!given.ok()) parts_.carrier.ResumeListeners();
  }
  if (!given.ok()) parts_.resume_managing();
  return given;
}

Result<void> HandOverServer::GiveListeners(HandOverChannel& channel) {
  for (const auto& [mount, fd] : parts_.carrier.Listeners()) {
    handover::Packet packet;
    packet.mutable_listener()->set_mount_id(mount->id());
    TRY(channel.Send(packet, fd));
  }
  handover::Packet end;
  end.mutable_listeners_end();
  TRY(channel.Send(end));
  TRY(auto ready, channel.Receive());
  if (!ready.packet.has_ready()) return Error(Code::kProtocol, "hand-over: no Ready");
  return Ok();
}

Result<void> HandOverServer::GiveConnections(HandOverChannel& channel) {
  auto departures = std::make_shared<Departures>();
  auto depart = [departures](Departure departure) { departures->Add(std::move(departure)); };
  parts_.carrier.HandOver(depart);
  Result<void> given = Ok();
  const auto give_up = std::chrono::steady_clock::now() + kHandOverStepMax;
  while (given.ok()) {
    bool last = parts_.carrier.connections() == 0;  // before the look at what departed
    Departure next;
    bool any = departures->Take(next);
    if (any) {
      handover::Packet packet;
      packet.mutable_connection()->set_mount_id(next.mount->id());
      packet.mutable_connection()->set_held(next.held.data(), next.held.size());
      given = channel.Send(packet, next.local.get());
      if (!given.ok()) departures->Add(std::move(next));
    } else if (last) {
      break;
    } else if (std::chrono::steady_clock::now() > give_up) {
      given = Error(Code::kDeadlineExceeded, "hand-over: a connection does not leave");
    } else {
      std::this_thread::sleep_for(kLook);
    }
  }
  handover::Packet done;
  done.mutable_done();
  if (given.ok()) given = channel.Send(done);
  if (given.ok()) {
    auto taken = channel.Receive();
    if (!taken.ok()) given = taken.error();
  }
  if (given.ok()) return given;
  parts_.carrier.Stay();  // first: from here on none departs that would not be seen below
  Departure back;
  while (departures->Take(back)) {
    parts_.carrier.Adopt(back.mount, std::move(back.local), std::move(back.held));
  }
  return given;
}

}  // namespace tarn::tunnel
