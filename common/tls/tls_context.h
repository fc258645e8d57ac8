// What TLS connections are made of, both sides: TLS 1.2 and 1.3 only, forward secrecy and AEAD
// ciphers only, no compression, no renegotiation, no resumption.
//
// No resumption on purpose: a resumed session does not prove the client's key again and does not
// show its certificate, which is where its identity is, renewed each hour. A handshake costs less
// than a millisecond, once a mount.
//
// Buffers are given back while a connection is idle (SSL_MODE_RELEASE_BUFFERS).
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "common/tls/identity_certificate.h"
#include "common/tls/openssl.h"
#include "common/tls/tls_dir.h"

namespace tarn::tls {

// RFC 9289 section 8.2.
inline constexpr std::string_view kSunRpcAlpn = "sunrpc";

using Context = std::shared_ptr<SSL_CTX>;

// The certificates of a server, from a directory (tls_dir.h). Thread-safe.
class ServerTls {
 public:
  // How often the files are looked at, at most, when connections come.
  static constexpr std::chrono::milliseconds kRefresh{1000};

  // kInvalid names the file and the fix.
  static Result<std::shared_ptr<ServerTls>> Open(const std::string& dir);

  // A new connection's object, on the server's side, without a transport. Null: out of memory.
  // It asks the client for a certificate and takes none, too. One that is shown must be valid now,
  // hold together (ReadIdentityCertificate), and prove its key; nobody needs to have signed it.
  // The files are read again when they have changed; what they hold is used if it fits together,
  // else what was there before, and a line is logged.
  Owned<SSL> NewConnection();

 private:
  explicit ServerTls(std::string dir) : dir_(std::move(dir)) {}
  Context Current();

  const std::string dir_;
  std::mutex mutex_;  // guards what follows
  std::chrono::steady_clock::time_point checked_;
  std::string refused_;  // why the files are not used; logged once
  TlsPems pems_;
  Context context_;
};

// What ServerTls found in the client's certificate at the handshake; absent when it showed none,
// and after it was taken.
std::optional<ParsedCertificate> TakeClientCertificate(SSL& ssl);
// Why the server refused the client's certificate; empty when it did not.
std::string CertificateProblem(const SSL& ssl);

struct ClientTlsOptions {
  std::string ca_pem{};           // who may have signed the server's certificate
  std::string certificate_pem{};  // shown to the server; may be empty
  std::string key_pem{};
  bool rpc_with_tls = false;  // ALPN "sunrpc", TLS 1.3 only (RFC 9289 section 5)
};

// Whose connections they are: a certificate, those that follow it in the same PEM text up to the
// signer, and its key. Thread-safe.
class CertificateAndKey {
 public:
  // kInvalid: a PEM is none, or the key is not the certificate's.
  static Result<std::shared_ptr<const CertificateAndKey>> Parse(const std::string& certificate_pem,
                                                                const std::string& key_pem);
  // For all connections of a context, or for one of a context that has none, before the handshake:
  // one context serves many clients then. False: OpenSSL takes it not, such as for a weak key.
  bool Use(SSL_CTX& context) const;
  bool Use(SSL& ssl) const;
  std::chrono::sys_seconds not_after() const;

 private:
  Owned<X509> leaf_;
  std::vector<Owned<X509>> chain_;  // up to the signer
  Owned<EVP_PKEY> key_;
};

// For connections to a server. kInvalid: a PEM is none, or the key is not the certificate's.
Result<Context> NewClientContext(const ClientTlsOptions& options);
// A new connection's object on the client's side. The server's certificate must name `host`, a DNS
// name or numeric address; empty: any name will do.
Owned<SSL> NewClientConnection(SSL_CTX& context, const std::string& host);

}  // namespace tarn::tls
