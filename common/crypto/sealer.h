// Sealer: authenticated encryption of records under one key, for any number of records and without
// a counter to keep: XAES-256-GCM (c2sp.org/XAES-256-GCM) with random nonces. 2^80 records have a
// chance of 2^-32 that two nonces are the same.
//
// A sealed record is: version (1 byte) | nonce (24) | ciphertext | tag (16). The associated data is
// what the record belongs to; it is not stored, and opening with another one fails.
//
// Threads: any. Errors: kInternal: OpenSSL failed.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "common/crypto/secret_bytes.h"
#include "common/result.h"

namespace tarn {

// The cipher itself. Nonces are never to be used twice.
class Xaes256Gcm {
 public:
  static constexpr size_t kKeyBytes = 32;
  static constexpr size_t kNonceBytes = 24;
  static constexpr size_t kTagBytes = 16;
  static constexpr size_t kMessageBytesMax = 1u << 30;

  // kInvalid: the key has not kKeyBytes.
  static Result<std::unique_ptr<Xaes256Gcm>> Create(const SecretBytes& key);
  ~Xaes256Gcm();

  // `out`: room for plain.size() + kTagBytes. kInvalid: a part is longer than kMessageBytesMax.
  Result<void> Encrypt(const char* nonce, std::string_view plain, std::string_view associated,
                       char* out) const;
  // `out`: room for sealed.size() - kTagBytes. kCorrupt: it was not encrypted so; what is in `out`
  // then is nothing to use.
  Result<void> Decrypt(const char* nonce, std::string_view sealed, std::string_view associated,
                       char* out) const;

 private:
  struct State;
  explicit Xaes256Gcm(std::unique_ptr<State> state);
  const std::unique_ptr<State> state_;
};

class Sealer {
 public:
  static constexpr size_t kKeyBytes = Xaes256Gcm::kKeyBytes;
  // What a sealed record has more than a plain one.
  static constexpr size_t kOverheadBytes = 1 + Xaes256Gcm::kNonceBytes + Xaes256Gcm::kTagBytes;

  static Result<std::unique_ptr<Sealer>> Create(const SecretBytes& key);

  Result<std::string> Seal(std::string_view plain, std::string_view associated) const;
  // kCorrupt: of another key or with other associated data, changed, or nothing that was sealed.
  Result<std::string> Open(std::string_view sealed, std::string_view associated) const;

 private:
  explicit Sealer(std::unique_ptr<Xaes256Gcm> cipher) : cipher_(std::move(cipher)) {}
  const std::unique_ptr<Xaes256Gcm> cipher_;
};

}  // namespace tarn
