// Base64 of secrets (RFC 4648 section 4), into memory that is wiped.
#pragma once

#include <optional>
#include <string_view>

#include "common/crypto/secret_bytes.h"

namespace tarn::keys {

SecretBytes EncodeBase64(std::string_view bytes);
// nullopt: it is none. White space is.
std::optional<SecretBytes> DecodeBase64(std::string_view text);

}  // namespace tarn::keys
