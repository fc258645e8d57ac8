// What the transport knows of a connection that is encrypted.
#pragma once

#include <optional>
#include <string>

#include "common/tls/identity_certificate.h"

namespace tarn::rpc {

struct Security {
  std::string protocol;  // "TLSv1.3"
  std::string cipher;    // OpenSSL's name, "TLS_AES_128_GCM_SHA256"
  // The connection began in the clear, with RFC 9289's AUTH_TLS; else with TLS at once.
  bool rpc_with_tls = false;
  // The client's certificate: it was valid at the handshake, and the client has its key. Everything
  // in `certificate->identity` is only what the client says. Absent: it showed none.
  std::optional<tls::ParsedCertificate> certificate;
};

}  // namespace tarn::rpc
