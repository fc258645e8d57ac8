// Bytes that follow from a number, so that whoever knows the number can tell whether they are
// right.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tarn::load {

uint64_t Hash(std::string_view bytes);

// `count` bytes of the endless sequence `number`, from `at`.
std::string Bytes(uint64_t number, uint64_t at, size_t count);

// "at 4711: 00 instead of 5a", or empty when they are the same.
std::string Difference(std::string_view wanted, std::string_view got);

}  // namespace tarn::load
