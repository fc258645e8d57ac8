// Small forms of text that several programs write the same way.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tarn {

// Two lower-case digits a byte.
std::string Hex(std::string_view bytes);
std::string Sha256Hex(std::string_view text);

// All parts, empty ones too; they point into `text`.
std::vector<std::string_view> Split(std::string_view text, char separator);
// Of ASCII: what could begin a line, or speak to a terminal.
bool IsControl(char c);

// "host:port", with an IPv6 address in brackets.
std::string JoinHostPort(std::string_view host, uint32_t port);

}  // namespace tarn
