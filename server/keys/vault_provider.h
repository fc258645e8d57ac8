// A key of the Transit secrets engine of HashiCorp Vault or OpenBao, over its HTTP API.
//
// URI (after "vault-transit:"): https://HOST:PORT/MOUNT/keys/NAME?token-file=FILE with the options
// ca-file=FILE and namespace=NAMESPACE. http:// is allowed to the loopback addresses only (an agent
// beside the server). The token is read from its file at each call, so whoever renews it writes a
// new file. The token's policy needs `update` on MOUNT/encrypt/NAME, MOUNT/decrypt/NAME and
// MOUNT/rewrap/NAME, and `read` on MOUNT/keys/NAME. The key must not be derived.
//
// The key's version is "vN". Errors: a missing key is kNotFound; 403 (a token that was revoked or
// ran out, a policy that forbids it) and a version below min_decryption_version are kDenied; a blob
// that another key made is kCorrupt; all else (sealed, standby, 5xx, no route) is kUnavailable.
#pragma once

#include <memory>
#include <string>

#include "server/keys/provider.h"

namespace tarn::keys {

struct VaultPlace {
  std::string base;   // "https://host:8200"
  std::string mount;  // "transit"
  std::string key;
  std::string token_file;
  std::string ca_file;
  std::string vault_namespace;
};

// kInvalid: says what is wrong.
Result<VaultPlace> ParseVaultPlace(const std::string& uri);

Result<std::unique_ptr<KeyProvider>> OpenVaultProvider(const std::string& uri);

}  // namespace tarn::keys
