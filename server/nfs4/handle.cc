#include "server/nfs4/handle.h"

#include <bit>
#include <cstring>

namespace tarn::nfs4 {
namespace {

constexpr uint8_t kLayout = 1;
constexpr size_t kSealed = 32;  // bytes that the checksum covers

template <typename T>
void Store(std::byte* at, T value) {
  static_assert(std::endian::native == std::endian::little);
  std::memcpy(at, &value, sizeof(T));
}

template <typename T>
T Load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

struct SipState {
  uint64_t v0, v1, v2, v3;
  void Round() {
    v0 += v1;
    v1 = std::rotl(v1, 13) ^ v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  }
  void Absorb(uint64_t word) {
    v3 ^= word;
    Round();
    Round();
    v0 ^= word;
  }
};

}  // namespace

HandleCodec::HandleCodec(const HandleKey& key)
    : key0_(Load<uint64_t>(key.data())), key1_(Load<uint64_t>(key.data() + 8)) {}

// SipHash-2-4 (Aumasson and Bernstein, 2012) of whole words.
uint64_t HandleCodec::Checksum(xdr::Opaque bytes) const {
  SipState s{key0_ ^ 0x736f6d6570736575, key1_ ^ 0x646f72616e646f6d, key0_ ^ 0x6c7967656e657261,
             key1_ ^ 0x7465646279746573};
  for (size_t at = 0; at + 8 <= bytes.size(); at += 8) s.Absorb(Load<uint64_t>(&bytes[at]));
  s.Absorb(uint64_t{bytes.size()} << 56);
  s.v2 ^= 0xff;
  for (int i = 0; i < 4; ++i) s.Round();
  return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

HandleBytes HandleCodec::Seal(const HandleFields& fields) const {
  HandleBytes bytes{};
  bytes[0] = std::byte{kLayout};
  Store(&bytes[4], fields.file_system);
  Store(&bytes[8], fields.export_number);
  Store(&bytes[16], fields.file.inode);
  Store(&bytes[24], fields.file.generation);
  Store(&bytes[kSealed], Checksum(xdr::Opaque(bytes).first(kSealed)));
  return bytes;
}

std::optional<HandleFields> HandleCodec::Open(xdr::Opaque bytes) const {
  if (bytes.size() != HandleBytes().size() || bytes[0] != std::byte{kLayout}) return std::nullopt;
  if (Load<uint64_t>(&bytes[kSealed]) != Checksum(bytes.first(kSealed))) return std::nullopt;
  return HandleFields{
      .file_system = Load<uint32_t>(&bytes[4]),
      .export_number = Load<uint64_t>(&bytes[8]),
      .file = {.inode = Load<uint64_t>(&bytes[16]), .generation = Load<uint64_t>(&bytes[24])}};
}

}  // namespace tarn::nfs4
