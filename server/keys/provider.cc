#include "server/keys/provider.h"

#include "server/keys/file_provider.h"
#include "server/keys/kms_provider.h"
#include "server/keys/vault_provider.h"

namespace tarn::keys {

bool IsDefinite(Code code) {
  return code == Code::kNotFound || code == Code::kDenied || code == Code::kCorrupt;
}

Result<Wrapped> KeyProvider::Rewrap(const Wrapped& wrapped, const Call& call) {
  TRY(SecretBytes secret, Unwrap(wrapped, call));
  return Wrap(secret, call);
}

Result<std::unique_ptr<KeyProvider>> OpenProvider(const std::string& uri) {
  const std::string_view text = uri;
  if (text.starts_with("file://")) return OpenFileProvider(uri.substr(7));
  if (text.starts_with("kmsv2:")) return OpenKmsProvider(uri.substr(6));
  if (text.starts_with("vault-transit:")) return OpenVaultProvider(uri.substr(14));
  return Error(Code::kInvalid, "'" + uri +
                                   "' is no key: write file:///DIR, kmsv2:unix:///SOCKET or "
                                   "vault-transit:https://HOST:PORT/MOUNT/keys/NAME?token-file=…");
}

}  // namespace tarn::keys
