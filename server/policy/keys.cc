#include "server/policy/keys.h"

#include <algorithm>

#include "server/policy/arn.h"

namespace tarn::policy {
namespace {

// In the order of Key.
constexpr std::array kKeys{
    KeyInfo{"aws:SecureTransport", KeyType::kBool},
    KeyInfo{"aws:SourceIp", KeyType::kAddress},
    KeyInfo{"aws:CurrentTime", KeyType::kDate},
    KeyInfo{"aws:EpochTime", KeyType::kNumber},
    KeyInfo{"aws:PrincipalType", KeyType::kString},
    KeyInfo{"elasticfilesystem:AccessPointArn", KeyType::kArn},
    KeyInfo{"elasticfilesystem:AccessedViaMountTarget", KeyType::kBool},
    KeyInfo{"tarn:Namespace", KeyType::kString},
    KeyInfo{"tarn:ServiceAccount", KeyType::kString},
    KeyInfo{"tarn:Issuer", KeyType::kString},
    KeyInfo{"aws:PrincipalArn", KeyType::kArn},
    KeyInfo{"aws:PrincipalAccount", KeyType::kString},
    KeyInfo{"tarn:Pod", KeyType::kString},
    KeyInfo{"tarn:Groups", KeyType::kStrings},
};
static_assert(kKeys.size() == static_cast<size_t>(Key::kGroups) + 1);

char Lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string_view NamespaceOf(std::string_view service_account) {
  return service_account.substr(0, service_account.find('/'));
}

std::string_view PrincipalTypeOf(const Request& request) {
  if (!request.service_account.empty()) return "ServiceAccount";
  if (request.anonymous()) return "Anonymous";
  auto parts = SplitArn(request.aws_principal);
  if (parts && parts->back().starts_with("user/")) return "User";
  bool role =
      parts && (parts->back().starts_with("role/") || parts->back().starts_with("assumed-role/"));
  return role ? "AssumedRole" : "Account";
}

// Of the keys that are a string of the request; empty: absent.
std::string_view Plain(Key key, const Request& request) {
  switch (key) {
    case Key::kAccessPointArn:
      return request.access_point_arn;
    case Key::kNamespace:
      return NamespaceOf(request.service_account);
    case Key::kServiceAccount:
      return request.service_account;
    case Key::kPod:
      return request.pod;
    case Key::kPrincipalType:
      return PrincipalTypeOf(request);
    case Key::kIssuer:
      return request.issuer;
    case Key::kPrincipalArn:
      return request.aws_principal;
    case Key::kPrincipalAccount:
      return AccountOfArn(request.aws_principal);
    default:
      return {};
  }
}

}  // namespace

const KeyInfo& Info(Key key) {
  return kKeys[static_cast<size_t>(key)];
}

std::optional<Key> FindKey(std::string_view name) {
  for (size_t i = 0; i < kKeys.size(); ++i) {
    if (EqualIgnoringCase(kKeys[i].name, name)) return static_cast<Key>(i);
  }
  return std::nullopt;
}

std::string KeyNames() {
  std::string names;
  for (const KeyInfo& key : kKeys) names.append(names.empty() ? "" : ", ").append(key.name);
  return names;
}

size_t CountOf(Key key, const Request& request) {
  switch (Info(key).type) {
    case KeyType::kBool:
    case KeyType::kDate:
    case KeyType::kNumber:
      return 1;
    case KeyType::kAddress:
      return request.source_ip ? 1 : 0;
    case KeyType::kStrings:
      return request.groups.size();
    case KeyType::kString:
    case KeyType::kArn:
      return Plain(key, request).empty() ? 0 : 1;
  }
  return 0;
}

std::optional<std::string_view> TextOf(Key key, const Request& request, size_t index,
                                       IpAddress::Buffer& buffer) {
  if (index >= CountOf(key, request)) return std::nullopt;
  switch (Info(key).type) {
    case KeyType::kBool:
      return BoolOf(key, request) ? "true" : "false";
    case KeyType::kAddress:
      return request.source_ip->Write(buffer);
    case KeyType::kStrings:
      return request.groups[index];
    case KeyType::kString:
    case KeyType::kArn:
      return Plain(key, request);
    case KeyType::kDate:
    case KeyType::kNumber:
      break;
  }
  return std::nullopt;
}

bool BoolOf(Key key, const Request& request) {
  return key == Key::kSecureTransport ? request.secure_transport : request.via_mount_target;
}

bool EqualIgnoringCase(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return Lower(x) == Lower(y); });
}

}  // namespace tarn::policy
