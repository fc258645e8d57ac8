// How a connection comes to make calls: what it speaks, its TLS handshake, the gate.
#include <sys/socket.h>

#include <cerrno>

#include "common/log.h"
#include "server/rpc/tcp_server.h"

namespace tarn::rpc {
namespace {

constexpr std::byte kTlsHandshake{0x16};  // the first byte of a TLS connection; see server.h
constexpr std::string_view kStartTls = "STARTTLS";
// Where a call has the flavor of its credential: behind xid, CALL, version, program, its version
// and the procedure.
constexpr size_t kFlavorAt = 6 * sizeof(uint32_t);

uint32_t WordAt(xdr::Opaque record, size_t at) {
  uint32_t word = 0;
  if (record.size() < at + sizeof(word)) return UINT32_MAX;
  xdr::Decoder(record.subspan(at)).Get(word);
  return word;
}

bool IsCall(xdr::Opaque record) {
  return WordAt(record, sizeof(uint32_t)) == static_cast<uint32_t>(CALL);
}

// Not a probe that is all it should be, but one that its sender may have meant as such.
bool HasTlsFlavor(xdr::Opaque record) {
  return IsCall(record) && WordAt(record, kFlavorAt) == static_cast<uint32_t>(AUTH_TLS);
}

HandshakeFailure ReasonOf(tls::TlsStream::Failure failure) {
  switch (failure) {
    case tls::TlsStream::Failure::kClosed:
      return HandshakeFailure::kClosed;
    case tls::TlsStream::Failure::kVersion:
      return HandshakeFailure::kVersion;
    case tls::TlsStream::Failure::kCertificate:
      return HandshakeFailure::kCertificate;
    default:
      return HandshakeFailure::kProtocol;
  }
}

// What the gate is given to answer with.
class BoxTaker : public Verdict::Taker {
 public:
  BoxTaker(std::shared_ptr<VerdictBox> box, ConnectionId connection)
      : box_(std::move(box)), connection_(connection) {}
  void TakeVerdict(Ruling ruling, std::shared_ptr<const Admission> admission,
                   std::string why) override {
    box_->Deliver(connection_, ruling, std::move(admission), std::move(why));
  }

 private:
  const std::shared_ptr<VerdictBox> box_;
  const ConnectionId connection_;
};

}  // namespace

std::string_view NameOf(HandshakeFailure failure) {
  static constexpr std::array<std::string_view, kHandshakeFailures> names{
      "closed", "deadline", "limit", "version", "certificate", "protocol"};
  return names[static_cast<size_t>(failure)];
}

void VerdictBox::Deliver(ConnectionId connection, Ruling ruling,
                         std::shared_ptr<const Admission> admission, std::string why) {
  std::lock_guard lock(mutex_);
  if (server_ == nullptr) return;
  auto found = server_->Find(connection);
  if (found) found->TakeVerdict(ruling, std::move(admission), std::move(why));
}

// --- TLS ---

bool TcpServer::Prepare(Connection& connection, Desk& desk) {
  if (connection.phase() == Connection::Phase::kHandshake) return DriveHandshake(connection);
  std::byte first{};
  ssize_t got = recv(connection.fd(), &first, 1, MSG_PEEK | MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
    connection.Rearm();
    return false;
  }
  if (got <= 0) {
    EndReading(connection);
    return false;
  }
  if (first != kTlsHandshake) {
    connection.Open();
    return true;
  }
  if (guard_.tls) return BeginTls(connection, false) && DriveHandshake(connection);
  Drop(connection, desk, "it speaks TLS, which is off here");
  return false;
}

bool TcpServer::BeginTls(Connection& connection, bool rpc_with_tls) {
  auto begun = handshakes_.Begin(connection.shared_from_this(), Monotonic::now());
  if (begun.in_its_place_goes) {
    CountFailure(HandshakeFailure::kLimit);
    begun.in_its_place_goes->Kick();
  }
  if (!begun.ok) {
    FailHandshake(connection, HandshakeFailure::kLimit, "too many TLS handshakes are under way");
    return false;
  }
  tls::Owned<SSL> ssl = guard_.tls->NewConnection();
  if (!ssl || (rpc_with_tls && SSL_set_min_proto_version(ssl.get(), TLS1_3_VERSION) != 1)) {
    handshakes_.End(connection);
    FailHandshake(connection, HandshakeFailure::kProtocol, "no memory is left for TLS");
    return false;
  }
  connection.StartTls(std::make_unique<tls::TlsStream>(std::move(ssl), connection.fd()),
                      rpc_with_tls);
  return true;
}

bool TcpServer::DriveHandshake(Connection& connection) {
  std::string why;
  tls::TlsStream& tls = *connection.stream().tls();
  auto step = tls.Handshake(why);
  if (step == tls::TlsStream::Step::kFailed) {
    // One that was taken out before has been counted.
    bool counted = !handshakes_.End(connection);
    if (counted) {
      connection.Kick();
      EndReading(connection);
    } else {
      FailHandshake(connection, ReasonOf(tls.failure()), why);
    }
    return false;
  }
  connection.FlushTls();
  if (step == tls::TlsStream::Step::kAgain) {
    connection.Rearm();
    return false;
  }
  handshakes_.End(connection);
  handshakes_done_.fetch_add(1);
  tls_connections_.fetch_add(1);
  auto security = std::make_shared<Security>();
  security->protocol = SSL_get_version(&tls.ssl());
  security->cipher = SSL_CIPHER_get_name(SSL_get_current_cipher(&tls.ssl()));
  security->rpc_with_tls = connection.rpc_with_tls();
  security->certificate = tls::TakeClientCertificate(tls.ssl());
  connection.Secure(std::move(security));
  return true;
}

void TcpServer::FailHandshake(Connection& connection, HandshakeFailure why,
                              const std::string& text) {
  CountFailure(why);
  if (refusals_log_.Take()) {
    spdlog::info("dropped {} port {}: TLS handshake: {}", connection.peer().address,
                 connection.peer().port, text);
  }
  connection.Kick();
  EndReading(connection);
}

// --- the first call ---

bool TcpServer::Enter(Connection& connection, Desk& desk) {
  bool plain = connection.stream().tls() == nullptr;
  if (HasTlsFlavor(desk.record.bytes)) {
    if (guard_.tls && plain && TakesTlsProbe(connection, desk)) {
      return AnswerTlsProbe(connection, desk);
    }
    return true;  // the flavor is refused as any unknown one is; no call is run
  }
  if (plain && guard_.tls_required) return TurnAway(connection, desk, "TLS is required");
  if (guard_.gate != nullptr) return AskGate(connection, desk);
  connection.SetAdmitted(nullptr);
  return true;
}

// RFC 9289 section 4.1: a NULL call without arguments, with an empty credential and verifier. What
// the client sends behind it before it has the answer, anybody on the way could have put there.
bool TcpServer::TakesTlsProbe(Connection& connection, const Desk& desk) const {
  xdr::Decoder from(desk.record.bytes);
  uint32_t xid = 0;
  msg_type type{};
  call_body call;
  version_range versions = program_.versions();
  return from.Get(xid) && Decode(from, type) && Decode(from, call) && call.rpcvers == RPC_VERSION &&
         call.prog == program_.number() && call.vers >= versions.low &&
         call.vers <= versions.high && call.proc == 0 && call.cred.body.empty() &&
         call.verf.flavor == AUTH_NONE && call.verf.body.empty() && from.remaining() == 0 &&
         connection.reader().empty();
}

bool TcpServer::AnswerTlsProbe(Connection& connection, Desk& desk) {
  xdr::Encoder& reply = desk.reply.bytes;
  reply.Clear();
  reply.Put(uint32_t{0});  // the record mark
  reply.Put(WordAt(desk.record.bytes, 0));
  Encode(reply, REPLY);
  Encode(reply, MSG_ACCEPTED);
  Encode(reply, opaque_auth{.flavor = AUTH_NONE,
                            .body = std::as_bytes(std::span(kStartTls.data(), kStartTls.size()))});
  Encode(reply, SUCCESS);
  FinishReply(reply);
  pool_.Give(std::move(desk.record.large));
  SendReply(connection, desk);
  if (connection.queued()) {
    Drop(connection, desk, "it does not take the answer to its question for TLS");
    return false;
  }
  if (!BeginTls(connection, true)) return false;
  connection.Rearm();
  return false;
}

bool TcpServer::AskGate(Connection& connection, Desk& desk) {
  while (true) {
    std::shared_ptr<const Admission> admission;
    std::string why;
    uint64_t before = rechecks_.load();
    if (!connection.asked()) {
      connection.BeginQuestion(before);
      guard_.gate->Admit(connection.peer(), Verdict(std::make_shared<BoxTaker>(
                                                verdicts_, connection.peer().connection)));
    }
    switch (connection.TakeAnswer(desk.record, admission, why, before)) {
      case Connection::Answer::kNone:
        continue;
      case Connection::Answer::kLater:
        return false;
      case Connection::Answer::kRefused:
        return TurnAway(connection, desk, why);
      case Connection::Answer::kPutOff:
        return SendOff(connection, desk, why);
      case Connection::Answer::kAdmitted:
        break;
    }
    // `before` is now when the gate was asked.
    if (rechecks_.load() != before) continue;
    connection.SetAdmitted(std::move(admission));
    if (rechecks_.load() == before) return true;
    // A recheck may have passed it by, or be at it now: let the client come again.
    connection.Kick();
    pool_.Give(std::move(desk.record.large));
    EndReading(connection);
    return false;
  }
}

bool TcpServer::TurnAway(Connection& connection, Desk& desk, const std::string& why) {
  if (IsCall(desk.record.bytes)) {
    desk.denied.stat = AUTH_ERROR;
    desk.denied.why = AUTH_TOOWEAK;
    DenyReply(desk.reply.bytes, WordAt(desk.record.bytes, 0), desk.denied);
    FinishReply(desk.reply.bytes);
    SendReply(connection, desk);
  }
  return SendOff(connection, desk, why);
}

bool TcpServer::SendOff(Connection& connection, Desk& desk, const std::string& why) {
  turned_away_.fetch_add(1);
  if (refusals_log_.Take()) {
    spdlog::info("turned away {} port {}: {}", connection.peer().address, connection.peer().port,
                 why);
  }
  pool_.Give(std::move(desk.record.large));
  EndReading(connection);
  return false;
}

}  // namespace tarn::rpc
