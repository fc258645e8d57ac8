// PeerIdentity: whom a connection is from, as a number that two connections can be compared by.
//
// What a gate (gate.h) has found out of a peer, in fields, comes to a SHA-256 hash: equal if and
// only if the fields are, of one size whatever they hold, and nothing of them can be read from it.
// The peer of whom nothing is known (in the clear, without a certificate) is Nobody.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace tarn::rpc {

class PeerIdentity {
 public:
  static constexpr size_t kTextBytes = 64;

  constexpr PeerIdentity() = default;  // nobody
  // Of fields in their order; ("a", "bc") is another one than ("ab", "c").
  static PeerIdentity Of(std::span<const std::string_view> fields);
  // What Text gave; nullopt: it is none.
  static std::optional<PeerIdentity> FromText(std::string_view text);

  bool nobody() const { return *this == PeerIdentity(); }
  static const PeerIdentity& Nobody() {
    static constexpr PeerIdentity kNobody;
    return kNobody;
  }
  // kTextBytes lower-case hex digits; "" of nobody.
  std::string Text() const;
  // For hashes of more than this; 0 of nobody.
  uint64_t Part() const { return words_[0]; }
  // Compared by each request of a session.
  bool operator==(const PeerIdentity& other) const {
    return ((words_[0] ^ other.words_[0]) | (words_[1] ^ other.words_[1]) |
            (words_[2] ^ other.words_[2]) | (words_[3] ^ other.words_[3])) == 0;
  }

 private:
  std::array<uint64_t, 4> words_{};
};

}  // namespace tarn::rpc
