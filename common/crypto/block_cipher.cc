#include "common/crypto/block_cipher.h"

#include <vector>

#include "common/crypto/context_pool.h"
#include "common/crypto/openssl.h"
#include "common/crypto/xts.h"

namespace tarn {
namespace {

using Pool = ContextPool<Xts>;

// Little-endian, as IEEE 1619 has it of numbers.
Xts::Tweak TweakOf(uint64_t object, uint64_t block) {
  Xts::Tweak tweak;
  for (size_t i = 0; i < 8; ++i) {
    tweak[i] = static_cast<unsigned char>(block >> (8 * i));
    tweak[8 + i] = static_cast<unsigned char>(object >> (8 * i));
  }
  return tweak;
}

// With this very key: libgcrypt is used where that holds.
Result<bool> GcryptDoesTheSame(const SecretBytes& key) {
  const Xts::Tweak tweak = TweakOf(0x8000'0000'1234'5678, 0xffff'fffc);
  std::vector<std::byte> plain(Xts::kBlockBytes), sealed(plain), tried(plain);
  for (size_t i = 0; i < plain.size(); ++i) plain[i] = static_cast<std::byte>(i * i / 7);
  TRY(auto openssl, NewOpenSslXts(key, true));
  TRY(openssl->Run(tweak, plain.data(), sealed.data()));
  auto encrypt = NewGcryptXts(key, true), decrypt = NewGcryptXts(key, false);
  if (!encrypt.ok() || !decrypt.ok()) return false;
  if (!(*encrypt)->Run(tweak, plain.data(), tried.data()).ok() || tried != sealed) return false;
  return (*decrypt)->Run(tweak, tried.data(), tried.data()).ok() && tried == plain;
}

}  // namespace

struct BlockCipher::State {
  SecretBytes key;
  bool gcrypt = false;
  Pool encrypting;
  Pool decrypting;

  Result<std::unique_ptr<Xts>> Take(bool encrypt) {
    if (auto taken = (encrypt ? encrypting : decrypting).Take()) return taken;
    return gcrypt ? NewGcryptXts(key, encrypt) : NewOpenSslXts(key, encrypt);
  }

  Result<void> Run(bool encrypt, uint64_t object, uint64_t first, std::span<const std::byte> from,
                   std::byte* out) {
    if (from.size() % kBlockBytes != 0) {
      return Error(Code::kInvalid, "bytes to encrypt are no whole blocks of 4096 bytes");
    }
    TRY(auto xts, Take(encrypt));
    for (size_t at = 0; at < from.size(); at += kBlockBytes, ++first) {
      TRY(xts->Run(TweakOf(object, first), from.data() + at, out + at));
    }
    (encrypt ? encrypting : decrypting).Give(std::move(xts));
    return Ok();
  }
};

BlockCipher::BlockCipher(std::unique_ptr<State> state) : state_(std::move(state)) {}
BlockCipher::~BlockCipher() = default;

bool BlockCipher::by_gcrypt() const {
  return state_->gcrypt;
}

Result<std::unique_ptr<BlockCipher>> BlockCipher::Create(const SecretBytes& key, How how) {
  TRY(CheckKeySize(key, kKeyBytes));
  auto state = std::make_unique<State>();
  state->key = key.Copy();
  TRY(NewOpenSslXts(key, true));  // does OpenSSL take this key?
  if (how == How::kFastest && GcryptIsFaster()) {
    TRY(state->gcrypt, GcryptDoesTheSame(key));
  }
  return std::unique_ptr<BlockCipher>(new BlockCipher(std::move(state)));
}

Result<void> BlockCipher::Encrypt(uint64_t object, uint64_t first, std::span<const std::byte> plain,
                                  std::byte* out) const {
  return state_->Run(true, object, first, plain, out);
}

Result<void> BlockCipher::Decrypt(uint64_t object, uint64_t first,
                                  std::span<const std::byte> sealed, std::byte* out) const {
  return state_->Run(false, object, first, sealed, out);
}

}  // namespace tarn
