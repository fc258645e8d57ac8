#include "common/ids.h"

#include <openssl/rand.h>

#include <array>
#include <cstdlib>

namespace tarn {

std::string MintId(std::string_view prefix) {
  constexpr size_t kDigits = 17;
  std::array<unsigned char, (kDigits + 1) / 2> random{};
  if (RAND_bytes(random.data(), static_cast<int>(random.size())) != 1) std::abort();
  std::string id(prefix);
  for (size_t i = 0; i < kDigits; ++i) {
    id += "0123456789abcdef"[(random[i / 2] >> (i % 2 * 4)) & 15];
  }
  return id;
}

bool IsId(std::string_view prefix, std::string_view text) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return text.size() >= 8 && text.size() <= 40 &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string NfsServerName(std::string_view file_system_id) {
  return std::string(file_system_id) + ".efs.tarn";
}

}  // namespace tarn
