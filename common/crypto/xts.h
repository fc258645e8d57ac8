// Xts: AES-256-XTS (IEEE 1619) of one block of 4096 bytes after another, with one key and in one
// direction, by one library or the other. For code of this folder.
//
// OpenSSL does it everywhere. libgcrypt has it by VAES, too, which does two blocks of AES with one
// instruction: half of the processor's time. OpenSSL has that from 3.5 on; where that is the
// distribution's, xts_gcrypt.cc may go.
//
// Threads: one at a time. The keys inside are wiped with it; they have BlockCipher::kKeyBytes.
#pragma once

#include <array>
#include <cstddef>
#include <memory>

#include "common/crypto/block_cipher.h"
#include "common/crypto/secret_bytes.h"
#include "common/result.h"

namespace tarn {

class Xts {
 public:
  static constexpr size_t kBlockBytes = BlockCipher::kBlockBytes;
  using Tweak = std::array<unsigned char, 16>;

  virtual ~Xts() = default;
  // `out` may be `block`. kInternal: the library failed.
  virtual Result<void> Run(const Tweak& tweak, const std::byte* block, std::byte* out) = 0;
};

// kInternal: the library takes no such key.
Result<std::unique_ptr<Xts>> NewOpenSslXts(const SecretBytes& key, bool encrypt);
Result<std::unique_ptr<Xts>> NewGcryptXts(const SecretBytes& key, bool encrypt);
// Is there VAES, and does libgcrypt use it?
bool GcryptIsFaster();

}  // namespace tarn
