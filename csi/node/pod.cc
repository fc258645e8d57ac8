#include "csi/node/pod.h"

#include <ctime>
#include <nlohmann/json.hpp>

#include "csi/volume_context.h"

namespace tarn::csi {
namespace {

std::string Get(const std::map<std::string, std::string>& map, const std::string& key) {
  auto found = map.find(key);
  return found == map.end() ? "" : found->second;
}

// RFC 3339 in UTC, as Kubernetes writes it.
std::optional<std::chrono::sys_seconds> ParseTime(const std::string& text) {
  std::tm time{};
  const char* end = strptime(text.c_str(), "%Y-%m-%dT%H:%M:%SZ", &time);
  if (end == nullptr || *end != '\0') return std::nullopt;
  return std::chrono::sys_seconds(std::chrono::seconds(timegm(&time)));
}

Result<std::optional<PodToken>> ParseTokens(const std::string& text) {
  if (text.empty()) return std::optional<PodToken>();
  auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) {
    return Error(Code::kInvalid, std::string(kTokensKey) + " must be a JSON object by audience");
  }
  auto found = json.find(kTokenAudience);
  if (found == json.end()) return std::optional<PodToken>();
  auto get = [&](const char* key) -> std::string {
    if (!found->is_object()) return "";
    auto value = found->find(key);
    return value != found->end() && value->is_string() ? value->get<std::string>() : "";
  };
  PodToken token{get("token"), ParseTime(get("expirationTimestamp"))};
  if (token.text.empty()) {
    return Error(Code::kInvalid, std::string(kTokensKey) + ": '" + kTokenAudience +
                                     "' must be an object with a token");
  }
  return std::optional(std::move(token));
}

}  // namespace

std::string Pod::Describe() const {
  if (name.empty()) return "the pod";
  std::string text = "pod " + ns + "/" + name;
  if (!service_account.empty()) text += " (ServiceAccount " + service_account + ")";
  return text;
}

Result<Pod> ParsePod(const std::map<std::string, std::string>& context,
                     const std::map<std::string, std::string>& secrets) {
  Pod pod;
  pod.ns = Get(context, "csi.storage.k8s.io/pod.namespace");
  pod.name = Get(context, "csi.storage.k8s.io/pod.name");
  pod.uid = Get(context, "csi.storage.k8s.io/pod.uid");
  pod.service_account = Get(context, "csi.storage.k8s.io/serviceAccount.name");
  std::string tokens = Get(secrets, kTokensKey);
  TRY(pod.token, ParseTokens(tokens.empty() ? Get(context, kTokensKey) : tokens));
  return pod;
}

}  // namespace tarn::csi
