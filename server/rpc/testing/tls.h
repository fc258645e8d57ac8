// For tests: a server that speaks TLS, and a client that does, on OpenSSL's own blocking sockets.
#pragma once

#include <netinet/tcp.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "common/grpc/testing/certificates.h"
#include "common/testing/eventually.h"
#include "common/tls/tls_context.h"
#include "server/rpc/testing.h"

namespace tarn::rpc::testing {

inline std::string FileText(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// A directory of certificates that goes with it.
class TlsDir {
 public:
  TlsDir() {
    std::string name = std::filesystem::temp_directory_path() / "tarn-rpc-tls-XXXXXX";
    dir_ = mkdtemp(name.data());
    authority_.Issue(dir_);
  }
  ~TlsDir() { std::filesystem::remove_all(dir_); }
  TlsDir(const TlsDir&) = delete;
  TlsDir& operator=(const TlsDir&) = delete;

  const std::string& path() const { return dir_; }
  std::string ca() const { return FileText(dir_ + "/ca.crt"); }
  void Renew() const { authority_.Issue(dir_); }
  std::shared_ptr<tls::ServerTls> Open() const { return tls::ServerTls::Open(dir_).value(); }

 private:
  rpcs::TestAuthority authority_;
  std::string dir_;
};

// What a mount's client has: a key and a certificate that it signed itself.
struct ClientKey {
  explicit ClientKey(const tls::CertificateIdentity& identity,
                     std::chrono::seconds before = tls::kValidBefore,
                     std::chrono::seconds after = std::chrono::hours(3)) {
    key = tls::NewPrivateKey().value();
    certificate = tls::MakeIdentityCertificate(key, {.identity = identity,
                                                     .now = std::chrono::system_clock::now(),
                                                     .valid_before = before,
                                                     .valid_after = after})
                      .value();
  }
  std::string key;
  std::string certificate;
};

class TlsClient : public RawClient {
 public:
  TlsClient(uint16_t port, const tls::ClientTlsOptions& options, int receive_buffer = 0)
      : RawClient(port, receive_buffer), context_(tls::NewClientContext(options).value()) {
    ssl_ = tls::NewClientConnection(*context_, "localhost");
    SSL_set_fd(ssl_.get(), fd());
    signal(SIGPIPE, SIG_IGN);  // OpenSSL's own sockets do not ask for MSG_NOSIGNAL
    int one = 1;  // a call behind the handshake's last message need not wait for its ACK
    setsockopt(fd(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  }
  SSL* ssl() { return ssl_.get(); }
  bool Handshake() { return SSL_connect(ssl_.get()) == 1; }
  bool Send(const Bytes& bytes) override {
    size_t written = 0;
    return bytes.empty() || SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &written) == 1;
  }
  bool Receive(std::byte* into, size_t bytes) override {
    for (size_t at = 0; at < bytes;) {
      size_t got = 0;
      if (SSL_read_ex(ssl_.get(), into + at, bytes - at, &got) != 1) return false;
      at += got;
    }
    return true;
  }
  bool AtEnd() override {
    std::byte one{};
    return !Receive(&one, 1);
  }
  // The server said that it sends no more.
  bool SaidGoodbye() const { return (SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN) != 0; }

 private:
  tls::Context context_;
  tls::Owned<SSL> ssl_;
};

struct TlsServer : TlsDir, TestServer {
  explicit TlsServer(ServerOptions options = {}, bool required = false, Gate* gate = nullptr)
      : TestServer(options, {.tls = TlsDir::Open(), .tls_required = required, .gate = gate}) {}
  tls::ClientTlsOptions client() const { return {.ca_pem = ca()}; }
  tls::ClientTlsOptions client(const ClientKey& key) const {
    return {.ca_pem = ca(), .certificate_pem = key.certificate, .key_pem = key.key};
  }
  uint64_t failed(HandshakeFailure why) const {
    return server->counters().handshakes_failed[static_cast<size_t>(why)];
  }
};

using tarn::Eventually;

}  // namespace tarn::rpc::testing
