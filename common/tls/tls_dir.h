// A directory with ca.crt, tls.crt and tls.key in PEM: the shape of a Kubernetes Secret.
#pragma once

#include <string>

#include "common/result.h"

namespace tarn::tls {

struct TlsPems {
  std::string ca, certificate, key;
  bool operator==(const TlsPems&) const = default;
};

// kInvalid: a file is missing or is no PEM, or the key is not the certificate's; the message names
// the file and the fix.
Result<TlsPems> ReadTlsDir(const std::string& dir);

}  // namespace tarn::tls
