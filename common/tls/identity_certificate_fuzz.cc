// The reader of client certificates: no input breaks it, and what it takes is in the one form that
// DER has for it. The first byte chooses between a whole certificate and one extension's value.
#include "common/fuzz.h"
#include "common/tls/identity_extensions.h"

using namespace tarn;       // NOLINT(google-build-using-namespace)
using namespace tarn::tls;  // NOLINT(google-build-using-namespace)

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  auto bytes = std::as_bytes(std::span(data, size)).subspan(1);
  const auto& extensions = IdentityExtensions();
  if (data[0] >= extensions.size()) {
    auto parsed = ReadIdentityCertificate(bytes);
    if (parsed.ok()) {
      size_t sum = 0;
      for (const auto& extension : extensions) sum += extension.write(parsed->identity).size();
      FUZZ_REQUIRE(sum <= kExtensionBytesMax);
    }
    return 0;
  }
  const IdentityExtension& extension = extensions[data[0]];
  std::string_view der(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  CertificateIdentity identity;
  if (ReadExtension(extension, der, identity).ok()) FUZZ_REQUIRE(extension.write(identity) == der);
  return 0;
}
