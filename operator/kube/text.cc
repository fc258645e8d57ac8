#include "operator/kube/text.h"

#include <cstdio>
#include <ctime>

namespace tarn::kube {
namespace {

using nlohmann::json;

constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

const json* Member(const json& object, std::string_view key) {
  if (!object.is_object()) return nullptr;
  auto it = object.find(std::string(key));
  return it == object.end() ? nullptr : &*it;
}

std::string FormatTime(int64_t seconds) {
  time_t t = static_cast<time_t>(seconds);
  std::tm tm{};
  gmtime_r(&t, &tm);
  char text[32];
  size_t n = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
  return {text, n};
}

}  // namespace

std::string Str(const json& object, std::string_view key) {
  const json* m = Member(object, key);
  return m != nullptr && m->is_string() ? m->get<std::string>() : std::string();
}

const json& Object(const json& object, std::string_view key) {
  static const json kEmpty = json::object();
  const json* m = Member(object, key);
  return m != nullptr && m->is_object() ? *m : kEmpty;
}

const json& Array(const json& object, std::string_view key) {
  static const json kEmpty = json::array();
  const json* m = Member(object, key);
  return m != nullptr && m->is_array() ? *m : kEmpty;
}

int64_t Int(const json& object, std::string_view key, int64_t otherwise) {
  const json* m = Member(object, key);
  return m != nullptr && m->is_number() ? m->get<int64_t>() : otherwise;
}

bool Bool(const json& object, std::string_view key, bool otherwise) {
  const json* m = Member(object, key);
  return m != nullptr && m->is_boolean() ? m->get<bool>() : otherwise;
}

Result<json> ParseJson(std::string_view text) {
  json out = json::parse(text.begin(), text.end(), nullptr, false);
  if (out.is_discarded()) return Error(Code::kProtocol, "not JSON");
  return out;
}

std::string EncodeBase64(std::string_view bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t v = 0;
    size_t n = std::min<size_t>(3, bytes.size() - i);
    for (size_t j = 0; j < 3; ++j) {
      v = v << 8 | (j < n ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    }
    for (size_t j = 0; j < 4; ++j) out += j <= n ? kBase64[v >> (18 - 6 * j) & 63] : '=';
  }
  return out;
}

Result<std::string> DecodeBase64(std::string_view text) {
  std::string out;
  uint32_t v = 0;
  int bits = 0;
  for (char c : text) {
    if (c == '\n' || c == '\r' || c == ' ' || c == '=') continue;
    size_t digit = kBase64.find(c);
    if (digit == std::string_view::npos) return Error(Code::kInvalid, "not base64");
    v = (v << 6 | static_cast<uint32_t>(digit)) & 0xffffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out += static_cast<char>(v >> bits & 0xff);
    }
  }
  return out;
}

std::string EscapeUrl(std::string_view text) {
  std::string out;
  for (unsigned char c : text) {
    if (std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.' || c == '~') {
      out += static_cast<char>(c);
    } else {
      char hex[4];
      std::snprintf(hex, sizeof hex, "%%%02X", c);
      out += hex;
    }
  }
  return out;
}

std::string Rfc3339(int64_t unix_seconds) {
  return FormatTime(unix_seconds) + "Z";
}

std::string Rfc3339Micro(int64_t unix_micros) {
  char fraction[16];
  std::snprintf(fraction, sizeof fraction, ".%06dZ", static_cast<int>(unix_micros % 1000000));
  return FormatTime(unix_micros / 1000000) + fraction;
}

}  // namespace tarn::kube
