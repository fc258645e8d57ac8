// BlockCipher: encryption of a disk's blocks, in which ciphertext is as long as plaintext:
// AES-256-XTS (IEEE 1619, NIST SP 800-38E) of whole blocks of 4096 bytes, each with the tweak
// (object, block). Nothing is authenticated: a changed block decrypts to random bytes.
//
// By OpenSSL, or by libgcrypt where that is faster (xts.h) and has done the same as OpenSSL with
// the same key.
//
// Threads: any. Errors: kInternal: the library failed; kInvalid: no whole blocks, or not of one
// length.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "common/crypto/secret_bytes.h"
#include "common/result.h"

namespace tarn {

class BlockCipher {
 public:
  static constexpr size_t kKeyBytes = 64;  // two keys of AES-256, not the same
  static constexpr size_t kBlockBytes = 4096;

  enum class How { kFastest, kOpenSsl };
  // kInvalid: the key has not kKeyBytes.
  static Result<std::unique_ptr<BlockCipher>> Create(const SecretBytes& key,
                                                     How how = How::kFastest);
  ~BlockCipher();

  // Blocks first, first + 1, ... of `object`. `out` may be the same place as the input.
  Result<void> Encrypt(uint64_t object, uint64_t first, std::span<const std::byte> plain,
                       std::byte* out) const;
  Result<void> Decrypt(uint64_t object, uint64_t first, std::span<const std::byte> sealed,
                       std::byte* out) const;
  bool by_gcrypt() const;

 private:
  struct State;
  explicit BlockCipher(std::unique_ptr<State> state);
  const std::unique_ptr<State> state_;
};

}  // namespace tarn
