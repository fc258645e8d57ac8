// KeyProvider: who holds a customer-managed key and wraps data keys with it. The key never leaves
// the provider (the file provider is the exception: there the key is a file of this machine).
//
// Errors, which callers tell apart by IsDefinite:
//   kNotFound     the key, or the version of it that wrapped, is gone
//   kDenied       it is disabled, or this server may not use it
//   kCorrupt      the blob is not one that this key wrapped
//   kUnavailable  the provider cannot be reached, is sealed, answers nonsense, or took too long:
//                 says nothing about the key
//   kAborted      the caller stopped the call
// Messages name the key's place and the fix; they never hold key material, tokens or blobs.
//
// Threads: any; calls block for at most their deadline.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <stop_token>
#include <string>

#include "common/crypto/secret_bytes.h"
#include "common/result.h"

namespace tarn::keys {

inline constexpr std::chrono::seconds kCallTimeout{5};
// What a provider may give and a record has to hold (KMS v2's limits for its parts).
inline constexpr size_t kVersionBytesMax = 1024;
inline constexpr size_t kCiphertextBytesMax = 4096;
inline constexpr size_t kAnnotationsBytesMax = 32 << 10;
// The longest secret that is wrapped.
inline constexpr size_t kSecretBytesMax = 512;

// How long a call may take, and who may stop it.
struct Call {
  std::chrono::milliseconds timeout = kCallTimeout;
  std::stop_token stop;
};

// A wrapped secret. Not secret itself.
struct Wrapped {
  std::string version;  // the provider's name of the key version that wrapped it
  std::string ciphertext;
  std::map<std::string, std::string> annotations;  // what the provider wants back (KMS v2)
};

class KeyProvider {
 public:
  virtual ~KeyProvider() = default;

  // With the newest version of the key.
  virtual Result<Wrapped> Wrap(const SecretBytes& secret, const Call& call) = 0;
  virtual Result<SecretBytes> Unwrap(const Wrapped& wrapped, const Call& call) = 0;

  // Can the key be used now? The version that Wrap would use: a Wrapped of another one is to be
  // wrapped again.
  virtual Result<std::string> Check(const Call& call) = 0;

  // The same secret under the newest version. A provider that can do so itself never shows the
  // secret for it.
  virtual Result<Wrapped> Rewrap(const Wrapped& wrapped, const Call& call);

  // Where the key is, for people; no secret.
  virtual std::string Place() const = 0;
};

// The key is taken away, as opposed to a provider that has trouble.
bool IsDefinite(Code code);

// "file:///dir", "kmsv2:unix:///path.sock", "vault-transit:https://host:8200/transit/keys/NAME?…"
// (docs/security.md). Nothing is asked of the provider yet. kInvalid: says what is wrong with it.
Result<std::unique_ptr<KeyProvider>> OpenProvider(const std::string& uri);

}  // namespace tarn::keys
