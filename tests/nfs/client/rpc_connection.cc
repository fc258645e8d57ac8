#include "tests/nfs/client/rpc_connection.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "api/nfs4.h"

namespace tarn::nfs_client {
namespace {

constexpr uint32_t kLastFragment = 0x80000000;

Error Lost(const std::string& what) {
  return Error(Code::kUnavailable, what + ": " + std::strerror(errno));
}

}  // namespace

Result<std::unique_ptr<RpcConnection>> RpcConnection::Connect(const std::string& address,
                                                              uint16_t port) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  if (inet_pton(AF_INET, address.c_str(), &to.sin_addr) != 1) {
    return Error(Code::kInvalid, "address '" + address + "': give a numeric IPv4 address");
  }
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return Lost("socket");
  timeval limit{.tv_sec = kTimeoutSeconds, .tv_usec = 0};
  int one = 1;
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  std::unique_ptr<RpcConnection> made(new RpcConnection(fd));
  if (connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to)) != 0) return Lost("connect");
  // Calls of different connections differ in their xid, as those of real clients do.
  static std::atomic<uint32_t> connections{0};
  made->xid_ = (connections.fetch_add(1) + 1) << 20;
  made->SetIdentity({});
  return made;
}

std::unique_ptr<RpcConnection> RpcConnection::Adopt(int fd) {
  timeval limit{.tv_sec = kTimeoutSeconds, .tv_usec = 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  return std::unique_ptr<RpcConnection>(new RpcConnection(fd));
}

RpcConnection::~RpcConnection() {
  close(fd_);
}

void RpcConnection::SetIdentity(const Identity& identity) {
  flavor_ = identity.none ? rpc::AUTH_NONE : rpc::AUTH_SYS;
  credential_.clear();
  if (identity.none) return;
  xdr::Encoder to;
  Encode(to, rpc::authsys_parms{.stamp = 1,
                                .machinename = "test",
                                .uid = identity.uid,
                                .gid = identity.gid,
                                .gids = identity.gids});
  credential_ = to.Flatten();
}

Result<void> RpcConnection::Send(uint32_t xid, uint32_t procedure,
                                 const std::vector<const xdr::Encoder*>& arguments) {
  xdr::Encoder head;
  head.Put(uint32_t{0});  // the record mark
  head.Put(xid);
  Encode(head, rpc::CALL);
  Encode(head, rpc::call_body{.rpcvers = rpc::RPC_VERSION,
                              .prog = nfs4::NFS4_PROGRAM,
                              .vers = nfs4::NFS4_VERSION,
                              .proc = procedure,
                              .cred = {.flavor = flavor_, .body = credential_},
                              .verf = {}});
  size_t size = head.size() - sizeof(uint32_t);
  for (const xdr::Encoder* piece : arguments) size += piece->size();
  head.PatchU32({0, 0, 0}, kLastFragment | static_cast<uint32_t>(size));
  std::vector<iovec> pieces;
  head.Gather(pieces);
  for (const xdr::Encoder* piece : arguments) piece->Gather(pieces);
  return Write(pieces) ? Ok() : Result<void>(Lost("send"));
}

Result<void> RpcConnection::SendRaw(const Bytes& bytes) {
  std::vector<iovec> pieces{{const_cast<std::byte*>(bytes.data()), bytes.size()}};
  return Write(pieces) ? Ok() : Result<void>(Lost("send"));
}

bool RpcConnection::Await(short events) const {
  pollfd wait{.fd = fd_, .events = events, .revents = 0};
  return poll(&wait, 1, kTimeoutSeconds * 1000) == 1;
}

bool RpcConnection::Write(std::vector<iovec>& pieces) {
  size_t at = 0;
  while (tls_) {
    auto sent = tls_->Send(pieces, at);
    if (sent == tls::TlsStream::Sent::kAll) return true;
    if (sent == tls::TlsStream::Sent::kBroken || !Await(POLLOUT)) return false;
  }
  while (at < pieces.size()) {
    msghdr message{};
    message.msg_iov = pieces.data() + at;
    message.msg_iovlen = std::min<size_t>(pieces.size() - at, 64);
    ssize_t sent = sendmsg(fd_, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return false;
    auto left = static_cast<size_t>(sent);
    while (at < pieces.size() && left >= pieces[at].iov_len) left -= pieces[at++].iov_len;
    if (left > 0) {
      pieces[at].iov_base = static_cast<std::byte*>(pieces[at].iov_base) + left;
      pieces[at].iov_len -= left;
    }
  }
  return true;
}

ssize_t RpcConnection::Read(std::byte* into, size_t bytes) {
  if (!tls_) return recv(fd_, into, bytes, 0);
  while (true) {
    ssize_t got = tls_->Receive(into, bytes);
    if (got != tls::TlsStream::kNothing || !Await(POLLIN)) return got;
  }
}

Result<void> RpcConnection::AskForTls() {
  xdr::Encoder call;
  call.Put(uint32_t{0});  // the record mark
  call.Put(NextXid());
  Encode(call, rpc::CALL);
  Encode(call, rpc::call_body{.rpcvers = rpc::RPC_VERSION,
                              .prog = nfs4::NFS4_PROGRAM,
                              .vers = nfs4::NFS4_VERSION,
                              .proc = 0,
                              .cred = {.flavor = rpc::AUTH_TLS, .body = {}},
                              .verf = {}});
  call.PatchU32({0, 0, 0}, kLastFragment | static_cast<uint32_t>(call.size() - sizeof(uint32_t)));
  TRY(SendRaw(call.Flatten()));
  TRY(RpcReply reply, Receive());
  if (reply.denied || reply.stat != rpc::SUCCESS || ahead_from_ != ahead_to_) {
    return Error(Code::kUnavailable, "the server does not begin TLS when asked");
  }
  return Ok();
}

Result<void> RpcConnection::StartTls(const tls::ClientTlsOptions& options,
                                     const std::string& host) {
  TRY(tls::Context context, tls::NewClientContext(options));
  if (options.rpc_with_tls) TRY(AskForTls());
  tls::Owned<SSL> ssl = tls::NewClientConnection(*context, host);
  if (!ssl) return Error(Code::kUnavailable, "no memory is left for TLS");
  fcntl(fd_, F_SETFL, fcntl(fd_, F_GETFL) | O_NONBLOCK);
  tls_ = std::make_unique<tls::TlsStream>(std::move(ssl), fd_);
  std::string why = "the server stays silent";
  while (true) {
    auto step = tls_->Handshake(why);
    if (step == tls::TlsStream::Step::kDone) return Ok();
    if (step == tls::TlsStream::Step::kFailed || !Await(POLLIN)) {
      return Error(Code::kUnavailable, "TLS handshake: " + why);
    }
  }
}

bool RpcConnection::ReceiveExactly(std::byte* into, size_t bytes) {
  while (bytes > 0) {
    if (ahead_from_ == ahead_to_ && bytes >= kAheadBytes) {
      ssize_t got = Read(into, bytes);
      if (got <= 0) return false;
      into += got;
      bytes -= static_cast<size_t>(got);
      continue;
    }
    if (ahead_from_ == ahead_to_) {
      ahead_.resize(kAheadBytes);
      ssize_t got = Read(ahead_.data(), ahead_.size());
      if (got <= 0) return false;
      ahead_from_ = 0;
      ahead_to_ = static_cast<size_t>(got);
    }
    size_t taken = std::min(bytes, ahead_to_ - ahead_from_);
    std::memcpy(into, ahead_.data() + ahead_from_, taken);
    ahead_from_ += taken;
    into += taken;
    bytes -= taken;
  }
  return true;
}

Result<RawBytes> RpcConnection::ReceiveRecord(bool& was_call) {
  RawBytes record;
  bool last = false;
  while (!last) {
    std::array<std::byte, 4> raw{};
    if (!ReceiveExactly(raw.data(), raw.size())) return Lost("receive");
    uint32_t mark = 0;
    xdr::Decoder(raw).Get(mark);
    last = (mark & kLastFragment) != 0;
    RawBytes grown;
    grown.size = record.size + (mark & ~kLastFragment);
    grown.data = std::make_unique_for_overwrite<std::byte[]>(grown.size);
    std::copy_n(record.data.get(), record.size, grown.data.get());
    if (!ReceiveExactly(grown.data.get() + record.size, grown.size - record.size)) {
      return Lost("receive");
    }
    record = std::move(grown);
  }
  xdr::Decoder from(record.view());
  uint32_t xid = 0;
  rpc::msg_type type{};
  rpc::call_body call;
  was_call = on_call_ && from.Get(xid) && Decode(from, type) && type == rpc::CALL;
  if (!was_call || !Decode(from, call)) return record;
  xdr::Encoder results = on_call_(call.proc, from);
  xdr::Encoder reply;
  reply.Put(kLastFragment | static_cast<uint32_t>(6 * sizeof(uint32_t) + results.size()));
  reply.Put(xid);
  Encode(reply, rpc::REPLY);
  Encode(reply, rpc::MSG_ACCEPTED);
  Encode(reply, rpc::opaque_auth{});
  Encode(reply, rpc::SUCCESS);
  reply.PutRaw(results.Flatten());
  TRY(SendRaw(reply.Flatten()));
  return record;
}

Result<void> RpcConnection::ServeCall() {
  bool was_call = false;
  TRY(RawBytes record, ReceiveRecord(was_call));
  if (!was_call) return Error(Code::kProtocol, "a reply of " + std::to_string(record.size));
  return Ok();
}

Result<RpcReply> RpcConnection::Receive() {
  RpcReply reply;
  bool was_call = true;
  while (was_call) {
    TRY(reply.record, ReceiveRecord(was_call));
  }
  xdr::Decoder from(reply.record.view());
  rpc::msg_type type{};
  rpc::reply_body body;
  if (!from.Get(reply.xid) || !Decode(from, type) || type != rpc::REPLY || !Decode(from, body)) {
    return Error(Code::kProtocol, "the server sent something that is no RPC reply");
  }
  reply.denied = body.stat == rpc::MSG_DENIED;
  reply.stat = body.areply.reply_data.stat;
  reply.results = reply.record.size - from.remaining();
  return reply;
}

}  // namespace tarn::nfs_client
