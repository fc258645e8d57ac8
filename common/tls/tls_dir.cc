#include "common/tls/tls_dir.h"

#include "common/files.h"
#include "common/tls/openssl.h"

namespace tarn::tls {
namespace {

Result<std::string> ReadPem(const std::string& path) {
  auto text = ReadSmallFile(path);
  if (text && !text->empty()) return text;
  return Error(Code::kInvalid, "cannot read " + path +
                                   ": a TLS directory holds ca.crt, tls.crt and tls.key in PEM");
}

}  // namespace

Result<TlsPems> ReadTlsDir(const std::string& dir) {
  TlsPems pems;
  TRY(pems.ca, ReadPem(dir + "/ca.crt"));
  TRY(pems.certificate, ReadPem(dir + "/tls.crt"));
  TRY(pems.key, ReadPem(dir + "/tls.key"));
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
