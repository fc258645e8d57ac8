#include "common/crypto/block_cipher.h"

#include <array>

#include "common/crypto/context_pool.h"
#include "common/crypto/openssl.h"

namespace tarn {
namespace {

struct Context {
  CipherContext cipher;
};
using Pool = ContextPool<Context>;

// Little-endian, as IEEE 1619 has it of numbers.
std::array<unsigned char, 16> Tweak(uint64_t object, uint64_t block) {
  std::array<unsigned char, 16> tweak;
  for (size_t i = 0; i < 8; ++i) {
    tweak[i] = static_cast<unsigned char>(block >> (8 * i));
    tweak[8 + i] = static_cast<unsigned char>(object >> (8 * i));
  }
  return tweak;
}

}  // namespace

struct BlockCipher::State {
  SecretBytes key;
  Pool encrypting;
  Pool decrypting;

  Result<std::unique_ptr<Context>> Take(Pool& pool, int encrypt) const {
    if (auto taken = pool.Take()) return taken;
    auto made = std::make_unique<Context>();
    made->cipher.reset(EVP_CIPHER_CTX_new());
    const auto* bytes = reinterpret_cast<const unsigned char*>(key.view().data());
    if (!made->cipher || EVP_CipherInit_ex(made->cipher.get(), EVP_aes_256_xts(), nullptr, bytes,
                                           nullptr, encrypt) != 1) {
      return OpenSslError("AES-256-XTS");
    }
    return made;
  }

  Result<void> Run(Pool& pool, int encrypt, uint64_t object, uint64_t first,
                   std::span<const std::byte> from, std::byte* out) {
    if (from.size() % kBlockBytes != 0) {
      return Error(Code::kInvalid, "bytes to encrypt are no whole blocks of 4096 bytes");
    }
    TRY(auto context, Take(pool, encrypt));
    for (size_t at = 0; at < from.size(); at += kBlockBytes, ++first) {
      auto tweak = Tweak(object, first);
      int written = 0;
      if (EVP_CipherInit_ex(context->cipher.get(), nullptr, nullptr, nullptr, tweak.data(),
                            encrypt) != 1 ||
          EVP_CipherUpdate(context->cipher.get(), reinterpret_cast<unsigned char*>(out + at),
                           &written, reinterpret_cast<const unsigned char*>(from.data() + at),
                           kBlockBytes) != 1) {
        return OpenSslError("AES-256-XTS");
      }
    }
    pool.Give(std::move(context));
    return Ok();
  }
};

BlockCipher::BlockCipher(std::unique_ptr<State> state) : state_(std::move(state)) {}
BlockCipher::~BlockCipher() = default;

Result<std::unique_ptr<BlockCipher>> BlockCipher::Create(const SecretBytes& key) {
  TRY(CheckKeySize(key, kKeyBytes));
  auto state = std::make_unique<State>();
  state->key = key.Copy();
  TRY(auto context, state->Take(state->encrypting, 1));  // does OpenSSL take this key?
  state->encrypting.Give(std::move(context));
  return std::unique_ptr<BlockCipher>(new BlockCipher(std::move(state)));
}

Result<void> BlockCipher::Encrypt(uint64_t object, uint64_t first, std::span<const std::byte> plain,
                                  std::byte* out) const {
  return state_->Run(state_->encrypting, 1, object, first, plain, out);
}

Result<void> BlockCipher::Decrypt(uint64_t object, uint64_t first,
                                  std::span<const std::byte> sealed, std::byte* out) const {
  return state_->Run(state_->decrypting, 0, object, first, sealed, out);
}

}  // namespace tarn
