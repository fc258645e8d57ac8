// One blocking TCP connection that speaks ONC RPC (RFC 5531), right or wrong as it is told, in the
// clear or through TLS.
//
// Threads: one sends and one receives at a time; they may be different ones.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/rpc.h"
#include "common/result.h"
#include "common/tls/tls_context.h"
#include "common/tls/tls_stream.h"

namespace tarn::nfs_client {

using Bytes = std::vector<std::byte>;

// Memory that is not cleared first: a reply may be a megabyte.
struct RawBytes {
  std::unique_ptr<std::byte[]> data;
  size_t size = 0;
  xdr::Opaque view() const { return {data.get(), size}; }
};

// Who the calls say they are.
struct Identity {
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::vector<uint32_t> gids;
  bool none = false;  // AUTH_NONE
};

// A reply record with its header taken apart.
struct RpcReply {
  uint32_t xid = 0;
  bool denied = false;
  rpc::accept_stat stat = rpc::SUCCESS;  // if not denied
  RawBytes record;
  size_t results = 0;  // where they start in `record`

  xdr::Opaque body() const { return record.view().subspan(results); }
};

class RpcConnection {
 public:
  static constexpr int kTimeoutSeconds = 30;  // of one receive

  // kUnavailable: why not.
  static Result<std::unique_ptr<RpcConnection>> Connect(const std::string& address, uint16_t port);
  // One that the server made.
  static std::unique_ptr<RpcConnection> Adopt(int fd);
  // From now on all goes through TLS. With options.rpc_with_tls it asks for it first (RFC 9289).
  // kUnavailable: the handshake failed, and why.
  Result<void> StartTls(const tls::ClientTlsOptions& options, const std::string& host);
  ~RpcConnection();
  RpcConnection(const RpcConnection&) = delete;
  RpcConnection& operator=(const RpcConnection&) = delete;

  void SetIdentity(const Identity& identity);
  // Sends one call of the NFS program whose arguments are the pieces in order.
  Result<void> Send(uint32_t xid, uint32_t procedure,
                    const std::vector<const xdr::Encoder*>& arguments);
  // kUnavailable: the connection ended or stayed silent. kProtocol: no RPC reply.
  Result<RpcReply> Receive();
  // What answers calls that the peer makes over this connection, with the procedure's results.
  using OnCallHandler = std::function<xdr::Encoder(uint32_t procedure, xdr::Decoder& arguments)>;
  void OnCall(OnCallHandler handler) { on_call_ = std::move(handler); }
  // Takes and answers one call. kProtocol: something else came.
  Result<void> ServeCall();
  Result<void> SendRaw(const Bytes& bytes);
  // All the pieces, which it changes. False: the connection failed.
  bool Write(std::vector<iovec>& pieces);
  // What is there, at most `bytes`; waits for the first byte. 0 or less: the connection ended or
  // stayed silent.
  ssize_t Read(std::byte* into, size_t bytes);
  uint32_t NextXid() { return ++xid_; }
  int fd() const { return fd_; }

 private:
  explicit RpcConnection(int fd) : fd_(fd) {}
  static constexpr size_t kAheadBytes = 64 * 1024;
  // A record; if it is a call, it has been answered.
  Result<RawBytes> ReceiveRecord(bool& was_call);
  bool ReceiveExactly(std::byte* into, size_t bytes);

  Result<void> AskForTls();
  bool Await(short events) const;

  const int fd_;
  std::unique_ptr<tls::TlsStream> tls_;
  uint32_t xid_ = 0;
  OnCallHandler on_call_;
  rpc::auth_flavor flavor_ = rpc::AUTH_NONE;
  Bytes credential_;
  Bytes ahead_;  // received in one system call; [ahead_from_, ahead_to_) is not used yet
  size_t ahead_from_ = 0;
  size_t ahead_to_ = 0;
};

}  // namespace tarn::nfs_client
