#include "common/tls/tls_context.h"

#include <openssl/x509v3.h>

#include <array>
#include <cstring>
#include <ctime>

#include "common/ip_address.h"
#include "common/log.h"

namespace tarn::tls {
namespace {

// The fastest with hardware instructions first; those without forward secrecy or AEAD are not here.
constexpr const char* kCiphers13 =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
constexpr const char* kCiphers12 =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr const char* kGroups = "X25519:P-256:P-384";
constexpr unsigned char kAlpnWire[] = "\x06sunrpc";
constexpr size_t kAlpnWireBytes = sizeof(kAlpnWire) - 1;
// RSA of 2048 bits and more, no SHA-1.
constexpr int kSecurityLevel = 2;

// What the verification leaves with a connection.
struct Seen {
  std::optional<ParsedCertificate> certificate;
  std::string problem;
};

void FreeSeen(void*, void* seen, CRYPTO_EX_DATA*, int, long, void*) {  // NOLINT(google-runtime-int)
  delete static_cast<Seen*>(seen);
}

int SeenIndex() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, FreeSeen);
  return index;
}

Seen* SeenOf(const SSL& ssl) {
  return static_cast<Seen*>(SSL_get_ex_data(&ssl, SeenIndex()));
}

int Refuse(X509_STORE_CTX* store, Seen& seen, int error, std::string why) {
  X509_STORE_CTX_set_error(store, error);  // OpenSSL makes the alert of it
  seen.problem = std::move(why);
  return 0;
}

// Instead of looking for a signer: clients sign their certificates themselves.
int VerifyClient(X509_STORE_CTX* store, void*) {
  auto* ssl =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  X509* certificate = X509_STORE_CTX_get0_cert(store);
  auto* seen = new Seen();
  if (SSL_set_ex_data(ssl, SeenIndex(), seen) != 1) {
    delete seen;
    return 0;
  }
  if (certificate == nullptr) {
    return Refuse(store, *seen, X509_V_ERR_UNSPECIFIED, "client certificate: there is none");
  }
  if (X509_cmp_current_time(X509_get0_notBefore(certificate)) >= 0) {
    return Refuse(store, *seen, X509_V_ERR_CERT_NOT_YET_VALID,
                  "client certificate: it is not valid yet; compare the clocks");
  }
  if (X509_cmp_current_time(X509_get0_notAfter(certificate)) <= 0) {
    return Refuse(store, *seen, X509_V_ERR_CERT_HAS_EXPIRED, "client certificate: it has expired");
  }
  auto parsed = ReadIdentityCertificate(*certificate);
  if (!parsed.ok()) {
    return Refuse(store, *seen, X509_V_ERR_INVALID_EXTENSION, parsed.error().message());
  }
  seen->certificate = std::move(parsed).value();
  X509_STORE_CTX_set_error(store, X509_V_OK);
  return 1;
}

// A client that names protocols must name ours; most of those that begin with TLS name none.
int SelectAlpn(SSL*, const unsigned char** out, unsigned char* out_bytes, const unsigned char* in,
               unsigned in_bytes, void*) {
  auto* chosen = const_cast<unsigned char*>(*out);
  int found = SSL_select_next_proto(&chosen, out_bytes, kAlpnWire, kAlpnWireBytes, in, in_bytes);
  *out = chosen;
  return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

Error Failed(const std::string& what) {
  return Error(Code::kInvalid, "TLS: " + what + ": " + TakeOpenSslError());
}

Result<Context> NewContext(const SSL_METHOD* method) {
  Context context(SSL_CTX_new(method), Free());
  SSL_CTX* raw = context.get();
  if (raw == nullptr) return Failed("cannot make a context");
  SSL_CTX_set_security_level(raw, kSecurityLevel);
  SSL_CTX_set_options(raw, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
                               SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                               // Records of RPC have their own marks: a cut one is seen.
                               SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(raw, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(raw, 0);
  SSL_CTX_set_max_cert_list(raw, kCertificateBytesMax);
  bool ok = SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION) == 1 &&
            SSL_CTX_set_max_proto_version(raw, TLS1_3_VERSION) == 1 &&
            SSL_CTX_set_ciphersuites(raw, kCiphers13) == 1 &&
            SSL_CTX_set_cipher_list(raw, kCiphers12) == 1 &&
            SSL_CTX_set1_groups_list(raw, kGroups) == 1;
  if (!ok) return Failed("cannot choose protocols and ciphers");
  return context;
}

Result<void> UseCertificate(SSL_CTX& context, const std::string& certificate_pem,
                            const std::string& key_pem) {
  TRY(auto own, CertificateAndKey::Parse(certificate_pem, key_pem));
  if (!own->Use(context)) return Failed("the certificate");
  return Ok();
}

Result<Context> NewServerContext(const TlsPems& pems) {
  TRY(Context context, NewContext(TLS_server_method()));
  TRY(UseCertificate(*context, pems.certificate, pems.key));
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_cert_verify_callback(context.get(), VerifyClient, nullptr);
  SSL_CTX_set_alpn_select_cb(context.get(), SelectAlpn, nullptr);
  return context;
}

}  // namespace

Result<std::shared_ptr<ServerTls>> ServerTls::Open(const std::string& dir) {
  std::shared_ptr<ServerTls> made(new ServerTls(dir));
  TRY(made->pems_, ReadTlsDir(dir));
  TRY(made->context_, NewServerContext(made->pems_));
  made->checked_ = std::chrono::steady_clock::now();
  return made;
}

Context ServerTls::Current() {
  TlsPems before;
  {
    std::lock_guard lock(mutex_);
    auto now = std::chrono::steady_clock::now();
    if (now - checked_ < kRefresh) return context_;
    checked_ = now;  // others go on with what there is
    before = pems_;
  }
  auto pems = ReadTlsDir(dir_);
  bool same = pems.ok() && *pems == before;
  Result<Context> next = pems.ok() && !same ? NewServerContext(*pems) : Result<Context>(nullptr);
  if (!pems.ok()) next = pems.error();
  std::lock_guard lock(mutex_);
  if (same) return context_;
  if (next.ok()) {
    context_ = std::move(next).value();
    pems_ = std::move(pems).value();
    refused_.clear();
    spdlog::info("TLS: new connections use the changed certificate of {}", dir_);
  } else if (refused_ != next.error().message()) {
    refused_ = next.error().message();
    spdlog::warn("TLS: keeping the certificate in use: {}", refused_);
  }
  return context_;
}

Owned<SSL> ServerTls::NewConnection() {
  Context context = Current();
  Owned<SSL> ssl(SSL_new(context.get()));
  if (ssl) SSL_set_accept_state(ssl.get());
  return ssl;
}

std::optional<ParsedCertificate> TakeClientCertificate(SSL& ssl) {
  std::unique_ptr<Seen> seen(SeenOf(ssl));
  SSL_set_ex_data(&ssl, SeenIndex(), nullptr);
  return seen ? std::move(seen->certificate) : std::nullopt;
}

std::string CertificateProblem(const SSL& ssl) {
  const Seen* seen = SeenOf(ssl);
  return seen == nullptr ? "" : seen->problem;
}

Result<Context> NewClientContext(const ClientTlsOptions& options) {
  TRY(Context context, NewContext(TLS_client_method()));
  Owned<BIO> from = MemoryBio(options.ca_pem);
  X509_STORE* store = SSL_CTX_get_cert_store(context.get());
  int signers = 0;
  while (Owned<X509> ca{PEM_read_bio_X509(from.get(), nullptr, nullptr, nullptr)}) {
    if (X509_STORE_add_cert(store, ca.get()) != 1) return Failed("ca.crt");
    ++signers;
  }
  ERR_clear_error();
  if (signers == 0) return Error(Code::kInvalid, "TLS: ca.crt is no PEM certificate");
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  if (!options.certificate_pem.empty()) {
    TRY(UseCertificate(*context, options.certificate_pem, options.key_pem));
  }
  if (options.rpc_with_tls) {
    SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
    // 0 is success, other than for everything else.
    if (SSL_CTX_set_alpn_protos(context.get(), kAlpnWire, kAlpnWireBytes) != 0) {
      return Failed("ALPN");
    }
  }
  return context;
}

Result<std::shared_ptr<const CertificateAndKey>> CertificateAndKey::Parse(
    const std::string& certificate_pem, const std::string& key_pem) {
  auto made = std::make_shared<CertificateAndKey>();
  Owned<BIO> from = MemoryBio(certificate_pem);
  made->leaf_.reset(PEM_read_bio_X509(from.get(), nullptr, nullptr, nullptr));
  if (!made->leaf_) return Failed("the certificate");
  while (Owned<X509> next{PEM_read_bio_X509(from.get(), nullptr, nullptr, nullptr)}) {
    made->chain_.push_back(std::move(next));
  }
  ERR_clear_error();  // the end of the text
  made->key_ = ParsePrivateKey(key_pem);
  if (!made->key_ || X509_check_private_key(made->leaf_.get(), made->key_.get()) != 1) {
    return Failed("the private key");
  }
  return std::shared_ptr<const CertificateAndKey>(std::move(made));
}

bool CertificateAndKey::Use(SSL_CTX& context) const {
  bool ok = SSL_CTX_use_certificate(&context, leaf_.get()) == 1 &&
            SSL_CTX_use_PrivateKey(&context, key_.get()) == 1;
  for (const auto& next : chain_) ok = ok && SSL_CTX_add1_chain_cert(&context, next.get()) == 1;
  return ok;
}

bool CertificateAndKey::Use(SSL& ssl) const {
  bool ok =
      SSL_use_certificate(&ssl, leaf_.get()) == 1 && SSL_use_PrivateKey(&ssl, key_.get()) == 1;
  for (const auto& next : chain_) ok = ok && SSL_add1_chain_cert(&ssl, next.get()) == 1;
  ERR_clear_error();
  return ok;
}

std::chrono::sys_seconds CertificateAndKey::not_after() const {
  std::tm time{};
  ASN1_TIME_to_tm(X509_get0_notAfter(leaf_.get()), &time);
  return std::chrono::sys_seconds(std::chrono::seconds(timegm(&time)));
}

Owned<SSL> NewClientConnection(SSL_CTX& context, const std::string& host) {
  Owned<SSL> ssl(SSL_new(&context));
  if (!ssl) return ssl;
  SSL_set_connect_state(ssl.get());
  if (host.empty()) return ssl;
  bool ok = IpAddress::Parse(host)
                ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl.get()), host.c_str()) == 1
                : SSL_set1_host(ssl.get(), host.c_str()) == 1 &&
                      SSL_set_tlsext_host_name(ssl.get(), host.c_str()) == 1;
  if (!ok) ssl.reset();
  return ssl;
}

}  // namespace tarn::tls
