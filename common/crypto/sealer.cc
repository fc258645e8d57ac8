#include "common/crypto/sealer.h"

#include <pthread.h>

#include <array>
#include <atomic>
#include <cstring>

#include "common/crypto/context_pool.h"
#include "common/crypto/openssl.h"

namespace tarn {
namespace {

constexpr char kSealedVersion = 1;
constexpr size_t kHalfNonce = 12;  // the first half makes the key, the second is GCM's nonce
constexpr size_t kBlock = 16;

unsigned char* Bytes(char* text) {
  return reinterpret_cast<unsigned char*>(text);
}
const unsigned char* Bytes(const char* text) {
  return reinterpret_cast<const unsigned char*>(text);
}

// A call of OpenSSL's generator costs more than sealing a short record, so a thread takes nonces
// for many. A child of fork must not go on with its parent's.
std::atomic<uint64_t> forks{0};
[[maybe_unused]] const int counting_forks =
    ::pthread_atfork(nullptr, nullptr, [] { forks.fetch_add(1); });

Result<void> TakeNonce(char* out) {
  constexpr size_t kAtOnce = 32;
  struct Pool {
    std::array<std::byte, kAtOnce * Xaes256Gcm::kNonceBytes> bytes;
    size_t used = sizeof(bytes);
    uint64_t forks = 0;
  };
  thread_local Pool pool;
  if (pool.used == pool.bytes.size() || pool.forks != forks.load()) {
    TRY(FillRandom(pool.bytes));
    pool.used = 0;
    pool.forks = forks.load();
  }
  std::memcpy(out, pool.bytes.data() + pool.used, Xaes256Gcm::kNonceBytes);
  pool.used += Xaes256Gcm::kNonceBytes;
  return Ok();
}

// One thread's: AES with the long-lived key, and GCM whose key changes with each message.
struct Contexts {
  CipherContext aes;
  CipherContext gcm;
};

}  // namespace

struct Xaes256Gcm::State {
  SecretBytes key;
  std::array<unsigned char, kBlock> subkey{};  // K1 of CMAC
  ContextPool<Contexts> pool;

  ~State() { WipeBytes(subkey.data(), subkey.size()); }

  Result<std::unique_ptr<Contexts>> Take() {
    if (auto taken = pool.Take()) return taken;
    auto made = std::make_unique<Contexts>();
    made->aes.reset(EVP_CIPHER_CTX_new());
    made->gcm.reset(EVP_CIPHER_CTX_new());
    if (!made->aes || !made->gcm ||
        EVP_EncryptInit_ex(made->aes.get(), EVP_aes_256_ecb(), nullptr, Bytes(key.view().data()),
                           nullptr) != 1 ||
        EVP_CIPHER_CTX_set_padding(made->aes.get(), 0) != 1 ||
        EVP_CipherInit_ex(made->gcm.get(), EVP_aes_256_gcm(), nullptr, nullptr, nullptr, 1) != 1) {
      return OpenSslError("AES-256");
    }
    return made;
  }

  // K1: the encrypted zero block, doubled in GF(2^128).
  Result<void> MakeSubkey() {
    TRY(auto contexts, Take());
    std::array<unsigned char, kBlock> zero{};
    std::array<unsigned char, kBlock> l{};
    int written = 0;
    if (EVP_EncryptUpdate(contexts->aes.get(), l.data(), &written, zero.data(), kBlock) != 1) {
      return OpenSslError("AES-256");
    }
    for (size_t i = 0; i < kBlock; ++i) {
      unsigned next = i + 1 < kBlock ? l[i + 1] >> 7 : 0;
      subkey[i] = static_cast<unsigned char>(l[i] << 1 | next);
    }
    if ((l[0] & 0x80) != 0) subkey[kBlock - 1] ^= 0x87;
    WipeBytes(l.data(), l.size());
    pool.Give(std::move(contexts));
    return Ok();
  }

  // The key of one message: CMAC-AES256 of two blocks, 0 | counter | 'X' | 0 | half the nonce.
  bool MessageKey(EVP_CIPHER_CTX* aes, const char* nonce, unsigned char* out) const {
    std::array<unsigned char, 2 * kBlock> blocks{};
    for (unsigned char counter : {1, 2}) {
      unsigned char* block = blocks.data() + (counter - 1) * kBlock;
      block[1] = counter;
      block[2] = 'X';
      std::memcpy(block + 4, nonce, kHalfNonce);
      for (size_t i = 0; i < kBlock; ++i) block[i] ^= subkey[i];
    }
    int written = 0;
    return EVP_EncryptUpdate(aes, out, &written, blocks.data(), 2 * kBlock) == 1;
  }

  // GCM made ready for one message.
  bool Begin(Contexts& contexts, const char* nonce, std::string_view associated, int encrypt) {
    std::array<unsigned char, kKeyBytes> message_key{};
    bool made = MessageKey(contexts.aes.get(), nonce, message_key.data()) &&
                EVP_CipherInit_ex(contexts.gcm.get(), nullptr, nullptr, message_key.data(),
                                  Bytes(nonce + kHalfNonce), encrypt) == 1;
    WipeBytes(message_key.data(), message_key.size());
    int written = 0;
    return made &&
           (associated.empty() ||
            EVP_CipherUpdate(contexts.gcm.get(), nullptr, &written, Bytes(associated.data()),
                             static_cast<int>(associated.size())) == 1);
  }
};

Xaes256Gcm::Xaes256Gcm(std::unique_ptr<State> state) : state_(std::move(state)) {}
Xaes256Gcm::~Xaes256Gcm() = default;

Result<std::unique_ptr<Xaes256Gcm>> Xaes256Gcm::Create(const SecretBytes& key) {
  TRY(CheckKeySize(key, kKeyBytes));
  auto state = std::make_unique<State>();
  state->key = key.Copy();
  TRY(state->MakeSubkey());
  return std::unique_ptr<Xaes256Gcm>(new Xaes256Gcm(std::move(state)));
}

Result<void> Xaes256Gcm::Encrypt(const char* nonce, std::string_view plain,
                                 std::string_view associated, char* out) const {
  if (plain.size() > kMessageBytesMax || associated.size() > kMessageBytesMax) {
    return Error(Code::kInvalid, "a record to seal is longer than 1 GiB");
  }
  TRY(auto contexts, state_->Take());
  EVP_CIPHER_CTX* gcm = contexts->gcm.get();
  int written = 0;
  int last = 0;
  bool done = state_->Begin(*contexts, nonce, associated, 1) &&
              EVP_EncryptUpdate(gcm, Bytes(out), &written, Bytes(plain.data()),
                                static_cast<int>(plain.size())) == 1 &&
              EVP_EncryptFinal_ex(gcm, Bytes(out) + written, &last) == 1 &&
              EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_AEAD_GET_TAG, kTagBytes, out + plain.size()) == 1;
  if (!done) return OpenSslError("AES-256-GCM");
  state_->pool.Give(std::move(contexts));
  return Ok();
}

Result<void> Xaes256Gcm::Decrypt(const char* nonce, std::string_view sealed,
                                 std::string_view associated, char* out) const {
  if (sealed.size() < kTagBytes || sealed.size() - kTagBytes > kMessageBytesMax) {
    return Error(Code::kCorrupt, "a sealed record has a wrong length");
  }
  std::string_view body = sealed.substr(0, sealed.size() - kTagBytes);
  TRY(auto contexts, state_->Take());
  EVP_CIPHER_CTX* gcm = contexts->gcm.get();
  int written = 0;
  int last = 0;
  bool done = state_->Begin(*contexts, nonce, associated, 0) &&
              EVP_DecryptUpdate(gcm, Bytes(out), &written, Bytes(body.data()),
                                static_cast<int>(body.size())) == 1 &&
              EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_AEAD_SET_TAG, kTagBytes,
                                  const_cast<char*>(sealed.data() + body.size())) == 1;
  if (!done) return OpenSslError("AES-256-GCM");
  bool genuine = EVP_DecryptFinal_ex(gcm, Bytes(out) + written, &last) == 1;
  state_->pool.Give(std::move(contexts));
  if (!genuine) {
    return Error(Code::kCorrupt, "a sealed record was changed, moved, or is of another key");
  }
  return Ok();
}

Result<std::unique_ptr<Sealer>> Sealer::Create(const SecretBytes& key) {
  TRY(auto cipher, Xaes256Gcm::Create(key));
  return std::unique_ptr<Sealer>(new Sealer(std::move(cipher)));
}

Result<std::string> Sealer::Seal(std::string_view plain, std::string_view associated) const {
  std::string sealed(plain.size() + kOverheadBytes, '\0');
  sealed[0] = kSealedVersion;
  char* nonce = sealed.data() + 1;
  TRY(TakeNonce(nonce));
  TRY(cipher_->Encrypt(nonce, plain, associated, nonce + Xaes256Gcm::kNonceBytes));
  return sealed;
}

Result<std::string> Sealer::Open(std::string_view sealed, std::string_view associated) const {
  if (sealed.size() < kOverheadBytes || sealed[0] != kSealedVersion) {
    return Error(Code::kCorrupt, "what should be a sealed record is none");
  }
  const char* nonce = sealed.data() + 1;
  std::string plain(sealed.size() - kOverheadBytes, '\0');
  TRY(cipher_->Decrypt(nonce, sealed.substr(1 + Xaes256Gcm::kNonceBytes), associated,
                       plain.data()));
  return plain;
}

}  // namespace tarn
