#include "tunnel/carrier.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <thread>
#include <unordered_map>

#include "common/log.h"
#include "common/log_ration.h"
#include "tunnel/peer_owner.h"

namespace tarn::tunnel {
namespace {

constexpr std::chrono::milliseconds kAcceptPause{100};  // when there are no descriptors

LogRation& Ration() {
  static LogRation ration;
  return ration;
}

}  // namespace

// One loop and what lives on it.
class Carrier::Lane : public Connection::Owner {
 public:
  Lane(std::unique_ptr<Loop> loop, const Common& common, std::atomic<size_t>& connections)
      : common_(common), count_(connections), loop_(std::move(loop)) {}
  ~Lane() override {
    loop_->Run([this] {
      listeners_.clear();
      count_ -= connections_.size();
      connections_.clear();
    });
    loop_.reset();
  }

  Loop& loop() { return *loop_; }
  // All below: on the loop's thread.
  void Add(std::shared_ptr<Mount> mount, Fd local, Bytes held);
  void OnEnded(Connection& connection) override;
  template <typename What>
  void Each(const Mount* mount, What what) {
    std::vector<Connection*> all;  // some end meanwhile
    for (auto& [key, connection] : connections_) {
      if (mount == nullptr || &connection->mount() == mount) all.push_back(key);
    }
    for (Connection* one : all) what(*one);
  }
  void Close(const Mount& mount) {
    listeners_.erase(&mount);
    size_t closed = std::erase_if(connections_,
                                  [&](const auto& one) { return &one.second->mount() == &mount; });
    count_ -= closed;
  }
  std::unordered_map<const Mount*, std::unique_ptr<Listener>>& listeners() { return listeners_; }

 private:
  const Common common_;
  std::atomic<size_t>& count_;
  std::unordered_map<Connection*, std::unique_ptr<Connection>> connections_;
  std::unordered_map<const Mount*, std::unique_ptr<Listener>> listeners_;
  std::unique_ptr<Loop> loop_;  // gone before what it could call
};

class Carrier::Listener : public Loop::Watcher {
 public:
  Listener(Carrier& carrier, Loop& loop, std::shared_ptr<Mount> mount, Fd fd)
      : carrier_(carrier),
        loop_(loop),
        mount_(std::move(mount)),
        fd_(std::move(fd)),
        pause_(loop, [this] { Accept(); }) {}
  ~Listener() override {
    loop_.Forget(*this);
    loop_.Remove(fd_.get());
  }
  bool Listen() { return loop_.Add(fd_.get(), *this); }
  void Pause() {
    loop_.Forget(*this);
    loop_.Remove(fd_.get());
    pause_.Cancel();
  }
  void OnEvents(uint32_t) override { Accept(); }
  const std::shared_ptr<Mount>& mount() const { return mount_; }
  int fd() const { return fd_.get(); }

 private:
  void Accept();
  void Take(Fd client);

  Carrier& carrier_;
  Loop& loop_;
  const std::shared_ptr<Mount> mount_;
  const Fd fd_;
  Loop::Timer pause_;
};

void Carrier::Listener::Accept() {
  while (true) {
    Fd client(accept4(fd_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (client.open()) {
      Take(std::move(client));
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      if (Ration().Take()) spdlog::error("cannot take a client: {}", std::strerror(errno));
      pause_.After(kAcceptPause);
      return;
    } else if (errno != EINTR && errno != ECONNABORTED) {
      return;
    }
  }
}

void Carrier::Listener::Take(Fd client) {
  bool full = mount_->connections >= kConnectionsPerMountMax;
  if (full || carrier_.connections_ >= kConnectionsMax) {
    if (Ration().Take()) {
      spdlog::warn("mount {}: a client is turned away: more than {} connections{}", mount_->id(),
                   full ? kConnectionsPerMountMax : kConnectionsMax,
                   full ? " of this mount" : " in all");
    }
    return;
  }
  std::optional<uid_t> owner = OwnerOfPeer(client.get());
  if (!owner) return;  // it is gone
  if (*owner != 0 && *owner != geteuid()) {
    if (Ration().Take()) {
      spdlog::warn("mount {}: a client of user {} is turned away: mounts are root's", mount_->id(),
                   *owner);
    }
    return;
  }
  int one = 1;
  setsockopt(client.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  carrier_.Spread(mount_, std::move(client), {});
}

void Carrier::Lane::Add(std::shared_ptr<Mount> mount, Fd local, Bytes held) {
  auto made = std::make_unique<Connection>(*loop_, common_, std::move(mount), std::move(local),
                                           std::move(held), *this);
  Connection* connection = made.get();
  connections_[connection] = std::move(made);
  ++count_;
  connection->Start();
}

void Carrier::Lane::OnEnded(Connection& connection) {
  auto found = connections_.find(&connection);
  if (found == connections_.end()) return;
  loop_->Bury(std::move(found->second));
  connections_.erase(found);
  --count_;
}

Result<std::unique_ptr<Carrier>> Carrier::Start(const Times& times, unsigned loops) {
  if (loops == 0) loops = std::clamp(std::thread::hardware_concurrency(), 1u, kLoopsMax);
  std::unique_ptr<Carrier> carrier(new Carrier(times));
  carrier->resolver_ = std::make_unique<Resolver>();
  Common common{*carrier->resolver_, carrier->times_, carrier->kept_bytes_};
  for (unsigned i = 0; i < loops; ++i) {
    TRY(std::unique_ptr<Loop> loop, Loop::Start(i));
    carrier->lanes_.push_back(
        std::make_unique<Lane>(std::move(loop), common, carrier->connections_));
  }
  return carrier;
}

Carrier::Carrier(const Times& times) : times_(times) {}

Carrier::~Carrier() {
  PauseListeners();   // they spread clients over all lanes
  resolver_.reset();  // its answers are posted
  lanes_.clear();
}

void Carrier::Spread(std::shared_ptr<Mount> mount, Fd local, Bytes held) {
  Lane& lane = *lanes_[next_lane_++ % lanes_.size()];
  auto add = [&lane, mount = std::move(mount), local = std::make_shared<Fd>(std::move(local)),
              held = std::move(held)]() mutable {
    lane.Add(std::move(mount), std::move(*local), std::move(held));
  };
  if (lane.loop().IsHere()) return add();
  lane.loop().Post(std::move(add));
}

Result<void> Carrier::AddMount(std::shared_ptr<Mount> mount, Fd listener) {
  Lane& lane = *lanes_[std::hash<const Mount*>()(mount.get()) / alignof(Mount) % lanes_.size()];
  bool listens = false;
  lane.loop().Run([&] {
    auto made = std::make_unique<Listener>(*this, lane.loop(), mount, std::move(listener));
    listens = made->Listen();
    if (listens) lane.listeners()[mount.get()] = std::move(made);
  });
  if (listens) return Ok();
  return Error(Code::kUnavailable, "the system has no room for one listener more");
}

void Carrier::RemoveMount(const Mount& mount) {
  // Twice: what the listener took on one lane may be on its way to another.
  for (int turn = 0; turn < 2; ++turn) {
    for (auto& lane : lanes_) lane->loop().Run([&] { lane->Close(mount); });
  }
}

void Carrier::MoveMount(const Mount& mount) {
  for (auto& lane : lanes_) {
    lane->loop().Run([&] { lane->Each(&mount, [](Connection& one) { one.Move(); }); });
  }
}

std::vector<std::pair<std::shared_ptr<Mount>, int>> Carrier::Listeners() {
  std::vector<std::pair<std::shared_ptr<Mount>, int>> all;
  for (auto& lane : lanes_) {
    lane->loop().Run([&] {
      for (auto& [mount, listener] : lane->listeners()) {
        all.emplace_back(listener->mount(), listener->fd());
      }
    });
  }
  return all;
}

void Carrier::PauseListeners() {
  for (auto& lane : lanes_) {
    lane->loop().Run([&] {
      for (auto& [mount, listener] : lane->listeners()) listener->Pause();
    });
  }
}

void Carrier::ResumeListeners() {
  for (auto& lane : lanes_) {
    lane->loop().Run([&] {
      for (auto& [mount, listener] : lane->listeners()) listener->Listen();
    });
  }
}

void Carrier::HandOver(const std::function<void(Departure)>& depart) {
  for (auto& lane : lanes_) {
    lane->loop().Run([&] { lane->Each(nullptr, [&](Connection& one) { one.HandOver(depart); }); });
  }
}

void Carrier::Stay() {
  for (auto& lane : lanes_) {
    lane->loop().Run([&] { lane->Each(nullptr, [](Connection& one) { one.Stay(); }); });
  }
}

void Carrier::Adopt(std::shared_ptr<Mount> mount, Fd local, Bytes held) {
  Spread(std::move(mount), std::move(local), std::move(held));
}

}  // namespace tarn::tunnel
