// What a provider said of an error, made fit for one line of a log.
#pragma once

#include <string>
#include <string_view>

namespace tarn::keys {

inline constexpr size_t kToldBytesMax = 300;

// Control characters become spaces, what is too long is cut.
std::string Told(std::string_view text);

}  // namespace tarn::keys
