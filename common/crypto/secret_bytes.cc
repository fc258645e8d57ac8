#include "common/crypto/secret_bytes.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <cstring>

#include "common/crypto/openssl.h"

namespace tarn {

Error OpenSslError(const char* what) {
  char text[256] = "no reason given";
  unsigned long first = ERR_get_error();
  if (first != 0) ERR_error_string_n(first, text, sizeof(text));
  ERR_clear_error();
  return Error(Code::kInternal, std::string(what) + ": " + text);
}

Result<void> CheckKeySize(const SecretBytes& key, size_t bytes) {
  if (key.size() == bytes) return Ok();
  return Error(Code::kInvalid, "the key has " + std::to_string(key.size()) +
                                   " bytes: give one of " + std::to_string(bytes));
}

SecretBytes::SecretBytes(size_t size)
    : bytes_(size > 0 ? std::make_unique<std::byte[]>(size) : nullptr), size_(size) {}

SecretBytes::SecretBytes(std::string_view bytes) : SecretBytes(bytes.size()) {
  if (size_ > 0) std::memcpy(bytes_.get(), bytes.data(), size_);
}

SecretBytes::SecretBytes(SecretBytes&& other) noexcept
    : bytes_(std::move(other.bytes_)), size_(std::exchange(other.size_, 0)) {}

SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept {
  if (this == &other) return *this;
  Wipe();
  bytes_ = std::move(other.bytes_);
  size_ = std::exchange(other.size_, 0);
  return *this;
}

bool SecretBytes::Equals(std::string_view other) const {
  return other.size() == size_ &&
         (size_ == 0 || CRYPTO_memcmp(bytes_.get(), other.data(), size_) == 0);
}

void SecretBytes::Wipe() {
  if (bytes_) WipeBytes(bytes_.get(), size_);
  bytes_.reset();
  size_ = 0;
}

void WipeBytes(void* bytes, size_t size) {
  OPENSSL_cleanse(bytes, size);
}

Result<void> FillRandom(std::span<std::byte> bytes) {
  auto* out = reinterpret_cast<unsigned char*>(bytes.data());
  if (RAND_bytes(out, static_cast<int>(bytes.size())) == 1) return Ok();
  return OpenSslError("random bytes");
}

Result<SecretBytes> RandomSecret(size_t size) {
  SecretBytes secret(size);
  TRY(FillRandom(secret.bytes()));
  return secret;
}

Result<SecretBytes> DeriveKey(const SecretBytes& key, std::string_view salt, std::string_view info,
                              size_t size) {
  constexpr size_t kSizeMax = 255 * 32;
  if (key.empty()) return Error(Code::kInvalid, "the key to derive from is empty");
  if (size == 0 || size > kSizeMax) {
    return Error(Code::kInvalid, "a derived key has 1 to " + std::to_string(kSizeMax) + " bytes");
  }
  std::unique_ptr<EVP_KDF, decltype(&EVP_KDF_free)> kdf(EVP_KDF_fetch(nullptr, "HKDF", nullptr),
                                                        EVP_KDF_free);
  if (!kdf) return OpenSslError("HKDF");
  std::unique_ptr<EVP_KDF_CTX, decltype(&EVP_KDF_CTX_free)> context(EVP_KDF_CTX_new(kdf.get()),
                                                                    EVP_KDF_CTX_free);
  if (!context) return OpenSslError("HKDF");
  char digest[] = "SHA256";
  auto octets = [](const char* name, std::string_view bytes) {
    return OSSL_PARAM_construct_octet_string(name, const_cast<char*>(bytes.data()), bytes.size());
  };
  OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
      octets(OSSL_KDF_PARAM_KEY, key.view()), octets(OSSL_KDF_PARAM_INFO, info),
      // Without a salt, RFC 5869 takes zeros, which is OpenSSL's default.
      salt.empty() ? OSSL_PARAM_construct_end() : octets(OSSL_KDF_PARAM_SALT, salt),
      OSSL_PARAM_construct_end()};
  SecretBytes derived(size);
  auto* out = reinterpret_cast<unsigned char*>(derived.bytes().data());
  if (EVP_KDF_derive(context.get(), out, size, parameters) != 1) return OpenSslError("HKDF");
  return derived;
}

}  // namespace tarn
