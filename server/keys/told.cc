#include "server/keys/told.h"

namespace tarn::keys {

std::string Told(std::string_view text) {
  std::string told;
  for (char c : text.substr(0, kToldBytesMax)) {
    const auto byte = static_cast<unsigned char>(c);
    const char shown = byte < 0x20 || byte == 0x7f ? ' ' : c;
    if (shown != ' ' || !told.ends_with(' ')) told += shown;
  }
  if (text.size() > kToldBytesMax) told += "...";
  while (told.ends_with(' ')) told.pop_back();
  return told;
}

}  // namespace tarn::keys
