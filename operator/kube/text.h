// Small helpers over JSON and text: reading fields that may be absent or of the wrong type without
// exceptions.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "common/result.h"

namespace tarn::kube {

// The member, or an empty value of that type when it is absent or of another type. Never throw.
std::string Str(const nlohmann::json& object, std::string_view key);
const nlohmann::json& Object(const nlohmann::json& object, std::string_view key);
const nlohmann::json& Array(const nlohmann::json& object, std::string_view key);
int64_t Int(const nlohmann::json& object, std::string_view key, int64_t otherwise = 0);
bool Bool(const nlohmann::json& object, std::string_view key, bool otherwise = false);

// kProtocol if `text` is not one JSON value.
Result<nlohmann::json> ParseJson(std::string_view text);

std::string EncodeBase64(std::string_view bytes);
// kInvalid on bad input. Line breaks are allowed.
Result<std::string> DecodeBase64(std::string_view text);

// For one path segment or query value.
std::string EscapeUrl(std::string_view text);

// "2026-01-02T03:04:05Z" and with six digits of fraction (Kubernetes' MicroTime).
std::string Rfc3339(int64_t unix_seconds);
std::string Rfc3339Micro(int64_t unix_micros);

}  // namespace tarn::kube
