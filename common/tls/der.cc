#include "common/tls/der.h"

#include <utility>

namespace tarn::tls {
namespace {

constexpr uint8_t kLongForm = 0x80;
constexpr size_t kLengthBytesMax = 3;  // 16 MiB: nothing here is longer

uint8_t ByteAt(std::string_view text, size_t at) {
  return static_cast<uint8_t>(text[at]);
}

// How many bytes the UTF-8 sequence at the front has; 0: none, an overlong one, a surrogate, or
// above U+10FFFF (RFC 3629 section 4).
size_t Utf8SequenceBytes(std::string_view text) {
  uint8_t first = ByteAt(text, 0);
  if (first < 0x80) return 1;
  size_t bytes = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < bytes) return 0;
  for (size_t i = 1; i < bytes; ++i) {
    if ((ByteAt(text, i) & 0xc0) != 0x80) return 0;
  }
  uint8_t second = ByteAt(text, 1);
  bool bad = (first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
             (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f);
  return bad ? 0 : bytes;
}

bool IsPlainText(std::string_view text) {
  while (!text.empty()) {
    size_t bytes = Utf8SequenceBytes(text);
    uint8_t first = ByteAt(text, 0);
    if (bytes == 0 || first < 0x20 || first == 0x7f) return false;
    text.remove_prefix(bytes);
  }
  return true;
}

}  // namespace

bool DerReader::Get(DerTag tag, std::string_view& contents) {
  std::string_view bytes = std::exchange(left_, {});
  if (bytes.size() < 2 || ByteAt(bytes, 0) != tag) return false;
  size_t length = ByteAt(bytes, 1);
  size_t header = 2;
  if (length >= kLongForm) {
    size_t count = length - kLongForm;
    if (count == 0 || count > kLengthBytesMax || bytes.size() < header + count) return false;
    length = 0;
    for (size_t i = 0; i < count; ++i) length = length << 8 | ByteAt(bytes, header++);
    // The shortest form: no leading zero, and none of what one byte would say.
    if (length < kLongForm || length >> (8 * (count - 1)) == 0) return false;
  }
  if (bytes.size() - header < length) return false;
  contents = bytes.substr(header, length);
  left_ = bytes.substr(header + length);
  return true;
}

bool DerReader::GetText(std::string& text, size_t bytes_max) {
  std::string_view contents;
  bool ok = Get(kDerUtf8String, contents) && !contents.empty() && contents.size() <= bytes_max &&
            IsPlainText(contents);
  if (ok) {
    text = contents;
  } else {
    left_ = {};
  }
  return ok;
}

std::string DerValue(DerTag tag, std::string_view contents) {
  std::string value(1, static_cast<char>(tag));
  size_t length = contents.size();
  if (length < kLongForm) {
    value += static_cast<char>(length);
  } else {
    size_t count = length < 0x100 ? 1 : length < 0x10000 ? 2 : 3;
    value += static_cast<char>(kLongForm | count);
    for (size_t i = count; i-- > 0;) value += static_cast<char>(length >> (8 * i));
  }
  return value.append(contents);
}

}  // namespace tarn::tls
