// KeyRing: the customer-managed keys that a server was started with, by name.
//
// Threads: any; it does not change.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/result.h"
#include "server/keys/provider.h"

namespace tarn::keys {

inline constexpr size_t kKeysMax = 16;
inline constexpr size_t kKeyNameBytesMax = 64;

class KeyRing {
 public:
  using Providers = std::map<std::string, std::unique_ptr<KeyProvider>>;

  KeyRing() = default;
  // For tests: providers of any kind. `default_name` is one of them, or empty.
  KeyRing(Providers providers, std::string default_name)
      : providers_(std::move(providers)), default_name_(std::move(default_name)) {}

  // `keys`: "NAME=URI". Without `default_name`, a single key is the default one. kInvalid: a bad
  // name or URI, too many, two of one name, or a default that is none of them.
  static Result<std::unique_ptr<KeyRing>> Open(const std::vector<std::string>& keys,
                                               const std::string& default_name);

  // nullptr: there is none of that name.
  KeyProvider* Find(const std::string& name) const;
  const Providers& providers() const { return providers_; }
  const std::string& default_name() const { return default_name_; }

 private:
  Providers providers_;
  std::string default_name_;
};

// 1 to 64 of a-z, 0-9, '-', '_' and '.', beginning with a letter or a digit.
bool IsKeyName(std::string_view name);

}  // namespace tarn::keys
