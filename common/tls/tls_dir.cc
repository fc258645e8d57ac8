#include "common/tls/tls_dir.h"

#include <fstream>
#include <sstream>

#include "common/tls/openssl.h"

namespace tarn::tls {
namespace {

Result<std::string> ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  if (!in || !(text << in.rdbuf())) {
    return Error(Code::kInvalid, "cannot read " + path +
                                     ": a TLS directory holds ca.crt, tls.crt and tls.key in PEM");
  }
  return text.str();
}

}  // namespace

Result<TlsPems> ReadTlsDir(const std::string& dir) {
  TlsPems pems;
  TRY(pems.ca, ReadFile(dir + "/ca.crt"));
  TRY(pems.certificate, ReadFile(dir + "/tls.crt"));
  TRY(pems.key, ReadFile(dir + "/tls.key"));
  if (!ParseCertificate(pems.ca)) {
    return Error(Code::kInvalid, dir + "/ca.crt is no PEM certificate");
  }
  Owned<X509> certificate = ParseCertificate(pems.certificate);
  if (!certificate) return Error(Code::kInvalid, dir + "/tls.crt is no PEM certificate");
  Owned<EVP_PKEY> key = ParsePrivateKey(pems.key);
  if (!key) return Error(Code::kInvalid, dir + "/tls.key is no PEM private key without passphrase");
  if (X509_check_private_key(certificate.get(), key.get()) != 1) {
    ERR_clear_error();
    return Error(Code::kInvalid, dir + "/tls.key is not the key of tls.crt: renew both together");
  }
  return pems;
}

}  // namespace tarn::tls
