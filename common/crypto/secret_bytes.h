// SecretBytes: key material. Wiped when it is destroyed or moved from, never copied by accident,
// and not printable: there is no way into a log or a test's message but through bytes().
#pragma once

#include <cstddef>
#include <iosfwd>
#include <memory>
#include <span>
#include <string_view>

#include "common/result.h"

namespace tarn {

class SecretBytes {
 public:
  SecretBytes() = default;
  // Zeros, to be filled.
  explicit SecretBytes(size_t size);
  explicit SecretBytes(std::string_view bytes);
  SecretBytes(SecretBytes&& other) noexcept;
  SecretBytes& operator=(SecretBytes&& other) noexcept;
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  ~SecretBytes() { Wipe(); }

  SecretBytes Copy() const { return SecretBytes(view()); }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::span<std::byte> bytes() { return {bytes_.get(), size_}; }
  std::span<const std::byte> bytes() const { return {bytes_.get(), size_}; }
  std::string_view view() const { return {reinterpret_cast<const char*>(bytes_.get()), size_}; }
  // In a time that does not depend on where they differ.
  bool Equals(std::string_view other) const;
  // Empty afterwards.
  void Wipe();

 private:
  std::unique_ptr<std::byte[]> bytes_;
  size_t size_ = 0;
};

std::ostream& operator<<(std::ostream&, const SecretBytes&) = delete;

// Overwrites bytes that held a secret outside of a SecretBytes.
void WipeBytes(void* bytes, size_t size);

// From the system's source of randomness by OpenSSL's generator. kInternal: it has none.
Result<void> FillRandom(std::span<std::byte> bytes);
Result<SecretBytes> RandomSecret(size_t size);

// HKDF with SHA-256 (RFC 5869): `size` bytes of key material from `key`, different for each `info`.
// kInvalid: `key` is empty, or `size` is none or more than 8160.
Result<SecretBytes> DeriveKey(const SecretBytes& key, std::string_view salt, std::string_view info,
                              size_t size);

}  // namespace tarn
