// The little of DER (X.690 section 10) that the identity's extensions need: definite lengths in
// their shortest form, low tag numbers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tarn::tls {

enum DerTag : uint8_t {
  kDerOctetString = 0x04,
  kDerUtf8String = 0x0c,
  kDerUtcTime = 0x17,
  kDerSequence = 0x30,
  kDerContext0 = 0xa0,  // [0], constructed
};

// Takes values from the front of some bytes. After the first failure it gives nothing more.
class DerReader {
 public:
  explicit DerReader(std::string_view bytes) : left_(bytes) {}

  // The contents of the next value; false when it has another tag, or is not DER.
  bool Get(DerTag tag, std::string_view& contents);
  // The same for a string of 1 to `bytes_max` bytes of UTF-8 without control characters.
  bool GetText(std::string& text, size_t bytes_max);
  bool at_end() const { return left_.empty(); }

 private:
  std::string_view left_;
};

std::string DerValue(DerTag tag, std::string_view contents);

}  // namespace tarn::tls
