#include "server/rpc/peer_identity.h"

#include <openssl/sha.h>

#include <charconv>
#include <cstring>

#include "common/text.h"

namespace tarn::rpc {

PeerIdentity PeerIdentity::Of(std::span<const std::string_view> fields) {
  std::string all;
  for (std::string_view field : fields) {
    all.append(std::to_string(field.size())).append(":").append(field);
  }
  PeerIdentity identity;
  static_assert(sizeof(identity.words_) == SHA256_DIGEST_LENGTH);
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(all.data()), all.size(), digest);
  std::memcpy(identity.words_.data(), digest, sizeof(digest));
  return identity;
}

std::optional<PeerIdentity> PeerIdentity::FromText(std::string_view text) {
  PeerIdentity identity;
  if (text.empty()) return identity;
  if (text.size() != kTextBytes) return std::nullopt;
  unsigned char digest[sizeof(identity.words_)];
  for (size_t i = 0; i < sizeof(digest); ++i) {
    const char* at = text.data() + 2 * i;
    auto [end, error] = std::from_chars(at, at + 2, digest[i], 16);
    if (error != std::errc() || end != at + 2) return std::nullopt;
  }
  std::memcpy(identity.words_.data(), digest, sizeof(digest));
  return identity;
}

std::string PeerIdentity::Text() const {
  if (nobody()) return {};
  return Hex({reinterpret_cast<const char*>(words_.data()), sizeof(words_)});
}

}  // namespace tarn::rpc
