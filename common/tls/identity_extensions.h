// The identity's extension values (identity_certificate.h), one by one.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "common/tls/identity_certificate.h"

namespace tarn::tls {

struct IdentityExtension {
  const char* oid;
  const char* name;  // for errors
  size_t bytes_max;  // of the DER value
  // Fills its member of `identity`; false when the value is not what it must be.
  bool (*read)(std::string_view der, CertificateIdentity& identity);
  // The DER value; empty when the member is absent.
  std::string (*write)(const CertificateIdentity& identity);
};

const std::array<IdentityExtension, 5>& IdentityExtensions();

// kInvalid names the extension.
Result<void> ReadExtension(const IdentityExtension& extension, std::string_view der,
                           CertificateIdentity& identity);

}  // namespace tarn::tls
