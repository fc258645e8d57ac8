// Data keys: what a file system is encrypted with, and the form in which they are stored: wrapped
// by a customer-managed key, as an opaque blob.
//
// Under the wrapping, a data key is bound to the id of its file system, whatever the provider: the
// blob of one file system does not unlock another one.
//
// Threads: any. Errors: those of the provider, and kCorrupt for a blob that is none, or not of this
// file system.
#pragma once

#include <string>
#include <string_view>

#include "server/keys/provider.h"

namespace tarn::keys {

inline constexpr size_t kDataKeyBytes = 32;

Result<SecretBytes> MakeDataKey();

Result<std::string> WrapDataKey(KeyProvider& provider, std::string_view file_system,
                                const SecretBytes& data_key, const Call& call);
Result<SecretBytes> UnwrapDataKey(KeyProvider& provider, std::string_view file_system,
                                  std::string_view blob, const Call& call);
// The same data key under the newest version of the provider's key.
Result<std::string> RewrapDataKey(KeyProvider& provider, std::string_view blob, const Call& call);
// The version of the provider's key that wrapped it.
Result<std::string> VersionOfBlob(std::string_view blob);

}  // namespace tarn::keys
