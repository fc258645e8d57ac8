// Quantities of Kubernetes ("10Gi", "1.5G", "1e9") as whole numbers.
#pragma once

#include <cstdint>
#include <string>

#include "common/result.h"

namespace tarn::op {

// Rounded up to a whole number. kInvalid: no quantity, negative, or above 2^63 - 1; the message
// begins with `field`.
Result<uint64_t> ParseQuantity(const std::string& field, const std::string& text);

}  // namespace tarn::op
