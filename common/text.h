// Small forms of text that several programs write the same way.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tarn {

// Two lower-case digits a byte.
std::string Hex(std::string_view bytes);
std::string Sha256Hex(std::string_view text);

// "host:port", with an IPv6 address in brackets.
std::string JoinHostPort(std::string_view host, uint32_t port);

}  // namespace tarn
