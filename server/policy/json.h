// JSON as a policy may write it: strict, with errors that say where.
//
// Beyond the grammar (RFC 8259): no key twice in an object, which JSON leaves open and readers
// differ in; a limited depth.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "common/result.h"

namespace tarn::policy {

inline constexpr size_t kDepthMax = 8;

// The error of the API: `path` is where in the document, such as "Statement[1].Condition"; empty:
// all of it.
Error InvalidPolicy(std::string_view path, std::string_view what);

// "Statement[1]" and "Bool" are "Statement[1].Bool"; names with other characters than letters
// stand as ["aws:SourceIp"].
std::string Below(std::string_view path, std::string_view name);
std::string Below(std::string_view path, size_t index);

Result<nlohmann::json> ParseJson(std::string_view text);

}  // namespace tarn::policy
