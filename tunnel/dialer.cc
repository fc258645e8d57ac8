#include "tunnel/dialer.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

namespace tarn::tunnel {
namespace {

// A server that went away without a word is noticed within about 20 s.
constexpr int kKeepaliveIdleSeconds = 10;
constexpr int kKeepaliveIntervalSeconds = 3;
constexpr int kKeepaliveCount = 3;
constexpr unsigned kUnackedMilliseconds = 15'000;

template <typename T>
void SetOption(int fd, int level, int option, T value) {
  setsockopt(fd, level, option, &value, sizeof value);
}

void Prepare(int fd) {
  SetOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  SetOption(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  SetOption(fd, IPPROTO_TCP, TCP_KEEPIDLE, kKeepaliveIdleSeconds);
  SetOption(fd, IPPROTO_TCP, TCP_KEEPINTVL, kKeepaliveIntervalSeconds);
  SetOption(fd, IPPROTO_TCP, TCP_KEEPCNT, kKeepaliveCount);
  SetOption(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, kUnackedMilliseconds);
}

std::string WhyHandshakeFailed(tls::TlsStream& stream, const std::string& why) {
  using Failure = tls::TlsStream::Failure;
  long verified = SSL_get_verify_result(&stream.ssl());  // NOLINT(google-runtime-int)
  if (verified != X509_V_OK) {
    return std::string("its certificate is refused: ") + X509_verify_cert_error_string(verified);
  }
  switch (stream.failure()) {
    case Failure::kClosed:
      return "it closed the connection in the handshake";
    case Failure::kVersion:
      return "it speaks neither TLS 1.3 nor 1.2";
    default:
      return "the handshake failed: " + why;
  }
}

}  // namespace

Dialer::Dialer(Loop& loop, Resolver& resolver, const Times& times, Owner& owner)
    : loop_(loop),
      resolver_(resolver),
      times_(times),
      owner_(owner),
      backoff_(times.retry_min),
      timer_(loop, [this] {
        if (due_ == Due::kServer) return NextServer();
        FailAddress(link_ ? "no end of the handshake in time" : "no answer in time");
      }) {}

Dialer::~Dialer() {
  Stop();
  loop_.Forget(*this);
}

void Dialer::Stop() {
  alive_.reset();
  DropAttempt();
}

void Dialer::DropAttempt() {
  timer_.Cancel();
  if (connecting_.open()) loop_.Remove(connecting_.get());
  connecting_.Close();
  link_.reset();
}

void Dialer::Start(std::shared_ptr<const Settings> settings, Loop::Duration wait) {
  // An event or an answer of the search before must not go on with this one.
  Stop();
  alive_ = std::make_shared<int>(0);
  addresses_.clear();
  address_ = 0;
  settings_ = std::move(settings);
  server_ = 0;
  due_ = Due::kServer;
  // Never at once: the owner is not to be called from within its own call.
  timer_.After(wait);
}

void Dialer::NextServer() {
  if (server_ == settings_->servers.size()) return EndRound();
  const ServerAddress& server = settings_->servers[server_++];
  why_ = server.text + ": ";
  std::weak_ptr<int> alive = alive_;
  resolver_.Resolve(server, [this, alive, &loop = loop_](Result<Resolver::Addresses> found) {
    if (loop.IsHere()) return OnResolved(std::move(found));
    loop.Post([this, alive, found = std::move(found)] {
      if (!alive.expired()) OnResolved(found);
    });
  });
}

void Dialer::OnResolved(Result<Resolver::Addresses> found) {
  addresses_.clear();
  address_ = 0;
  if (found.ok()) {
    addresses_ = std::move(found).value();
  } else {
    why_ = found.error().message();
  }
  NextAddress();
}

void Dialer::NextAddress() {
  if (address_ == addresses_.size()) return NextServer();
  const SocketAddress& address = addresses_[address_++];
  connecting_ =
      Fd(socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!connecting_.open() || !Connect(address)) FailAddress(std::strerror(errno));
}

bool Dialer::Connect(const SocketAddress& address) {
  Prepare(connecting_.get());
  const auto* to = reinterpret_cast<const sockaddr*>(&address.storage);
  if (connect(connecting_.get(), to, address.bytes) != 0 && errno != EINPROGRESS) return false;
  if (!loop_.Add(connecting_.get(), *this)) return false;
  due_ = Due::kGiveUp;
  timer_.After(times_.connect);
  return true;
}

void Dialer::OnEvents(uint32_t events) {
  if (link_) return Handshake();
  if (connecting_.open() && events != 0) OnConnected();
}

void Dialer::OnConnected() {
  int error = 0;
  socklen_t bytes = sizeof error;
  getsockopt(connecting_.get(), SOL_SOCKET, SO_ERROR, &error, &bytes);
  if (error != 0) return FailAddress(std::strerror(error));
  sockaddr_storage peer{};
  socklen_t peer_bytes = sizeof peer;
  // Writable without a peer: an event from before connect.
  if (getpeername(connecting_.get(), reinterpret_cast<sockaddr*>(&peer), &peer_bytes) != 0) return;
  tls::Owned<SSL> ssl = NewConnection(*settings_);
  if (!ssl) return FailAddress("no memory for TLS");
  link_ = std::make_unique<Link>(loop_, std::move(connecting_), std::move(ssl));
  link_->settings = settings_;
  timer_.After(times_.handshake);
  Handshake();
}

void Dialer::Handshake() {
  std::string why;
  auto step = link_->stream.Handshake(why);
  if (step == tls::TlsStream::Step::kFailed) {
    return FailAddress(WhyHandshakeFailed(link_->stream, why));
  }
  if (link_->stream.WantsToSend()) {
    std::vector<iovec> nothing;
    size_t at = 0;
    link_->stream.Send(nothing, at);
  }
  if (step == tls::TlsStream::Step::kAgain) return;
  timer_.Cancel();
  backoff_ = times_.retry_min;
  owner_.OnDialed(std::move(link_));
}

void Dialer::FailAddress(const std::string& why) {
  DropAttempt();
  why_ = settings_->servers[server_ - 1].text + ": " + why;
  NextAddress();
}

void Dialer::EndRound() {
  server_ = 0;
  if (!owner_.OnRoundFailed(why_)) return;
  due_ = Due::kServer;
  timer_.After(backoff_);
  backoff_ = std::min(backoff_ * 2, times_.retry_max);
}

}  // namespace tarn::tunnel
