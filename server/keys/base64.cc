#include "server/keys/base64.h"

#include <openssl/evp.h>

namespace tarn::keys {
namespace {

unsigned char* Bytes(SecretBytes& secret) {
  return reinterpret_cast<unsigned char*>(secret.bytes().data());
}

const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

SecretBytes EncodeBase64(std::string_view bytes) {
  // OpenSSL ends it with a NUL.
  SecretBytes room((bytes.size() + 2) / 3 * 4 + 1);
  const int size = EVP_EncodeBlock(Bytes(room), Bytes(bytes), static_cast<int>(bytes.size()));
  return SecretBytes(room.view().substr(0, static_cast<size_t>(size)));
}

std::optional<SecretBytes> DecodeBase64(std::string_view text) {
  if (text.empty() || text.size() % 4 != 0) return std::nullopt;
  const size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  // OpenSSL would skip white space at the ends.
  const auto alphabet = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/';
  };
  for (char c : text.substr(0, text.size() - padding)) {
    if (!alphabet(c)) return std::nullopt;
  }
  SecretBytes room(text.size() / 4 * 3);
  const int size = EVP_DecodeBlock(Bytes(room), Bytes(text), static_cast<int>(text.size()));
  if (size < 0) return std::nullopt;
  return SecretBytes(room.view().substr(0, static_cast<size_t>(size) - padding));
}

}  // namespace tarn::keys
