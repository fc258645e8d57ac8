// The condition keys: what a policy may ask of a request. docs/policy.md tells them to people.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "server/policy/request.h"

namespace tarn::policy {

enum class Key : uint8_t {
  kSecureTransport,
  kSourceIp,
  kCurrentTime,
  kEpochTime,
  kPrincipalType,
  kAccessPointArn,
  kAccessedViaMountTarget,
  kNamespace,
  kServiceAccount,
  kIssuer,
  kPrincipalArn,
  kPrincipalAccount,
  kPod,
  kGroups,
};

enum class KeyType : uint8_t {
  kString,
  kStrings,  // several values: only under ForAllValues and ForAnyValue
  kBool,
  kAddress,
  kArn,
  kDate,
  kNumber,  // of seconds since 1970: a date as well
};

struct KeyInfo {
  std::string_view name;
  KeyType type;
};
const KeyInfo& Info(Key key);
// By its name, in any case; nullopt: there is no such key.
std::optional<Key> FindKey(std::string_view name);
// "aws:SecureTransport, aws:SourceIp, …" for errors.
std::string KeyNames();

// How many values the request has for the key; 0: the key is absent.
size_t CountOf(Key key, const Request& request);

// The text of the key's value number `index`; nullopt: absent, or its type has no text (kDate,
// kNumber). It lies in `request`, in `buffer` or in static storage.
std::optional<std::string_view> TextOf(Key key, const Request& request, size_t index,
                                       IpAddress::Buffer& buffer);
// Precondition: the key is a kBool.
bool BoolOf(Key key, const Request& request);

// Equal but for the case of ASCII letters.
bool EqualIgnoringCase(std::string_view a, std::string_view b);

}  // namespace tarn::policy
