#include "server/keys/key_ring.h"

#include <algorithm>

namespace tarn::keys {

bool IsKeyName(std::string_view name) {
  const auto is_alphanumeric = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  };
  return !name.empty() && name.size() <= kKeyNameBytesMax && is_alphanumeric(name.front()) &&
         std::all_of(name.begin(), name.end(), [&](char c) {
           return is_alphanumeric(c) || c == '-' || c == '_' || c == '.';
         });
}

Result<std::unique_ptr<KeyRing>> KeyRing::Open(const std::vector<std::string>& keys,
                                               const std::string& default_name) {
  if (keys.size() > kKeysMax) {
    return Error(Code::kInvalid, "there are " + std::to_string(keys.size()) + " keys: at most " +
                                     std::to_string(kKeysMax) + " are allowed");
  }
  Providers providers;
  for (const std::string& key : keys) {
    const size_t equals = key.find('=');
    const std::string name = key.substr(0, equals);
    if (equals == std::string::npos || !IsKeyName(name)) {
      return Error(Code::kInvalid,
                   "'" + key +
                       "': write NAME=URI, with a name of at most 64 of a-z, 0-9, '-', '_' "
                       "and '.'");
    }
    TRY(auto provider, OpenProvider(key.substr(equals + 1)));
    if (!providers.emplace(name, std::move(provider)).second) {
      return Error(Code::kInvalid, "there are two keys '" + name + "': name one otherwise");
    }
  }
  std::string chosen = default_name;
  if (chosen.empty() && providers.size() == 1) chosen = providers.begin()->first;
  if (!chosen.empty() && !providers.contains(chosen)) {
    return Error(Code::kInvalid, "there is no key '" + chosen + "' that could be the default one");
  }
  return std::make_unique<KeyRing>(std::move(providers), std::move(chosen));
}

KeyProvider* KeyRing::Find(const std::string& name) const {
  const auto found = providers_.find(name);
  return found == providers_.end() ? nullptr : found->second.get();
}

}  // namespace tarn::keys
