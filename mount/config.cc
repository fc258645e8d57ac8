#include "mount/config.h"

#include <unistd.h>

#include <charconv>
#include <variant>

#include "common/files.h"
#include "mount/text.h"

namespace tarn::mount {
namespace {

struct Key {
  const char* section;
  const char* name;
  std::variant<std::string Config::*, std::chrono::seconds Config::*> field;
  int low = 0, high = 0;  // of seconds
  bool is_path = false;
};

const Key kKeys[] = {
    {"mount", "tunnel", &Config::tunnel, 0, 0, true},
    {"mount", "registry", &Config::registry, 0, 0, true},
    {"mount", "authority", &Config::authority, 0, 0, true},
    {"mount", "region", &Config::region},
    {"mount", "zone", &Config::zone},
    {"mount", "mounter", &Config::mounter},
    {"mount", "cgroup", &Config::cgroup},
    {"mount", "timeout", &Config::timeout, 1, 600},
    {"mount", "state", &Config::state, 0, 0, true},
    {"mount", "log", &Config::log, 0, 0, true},
    {"watch", "interval", &Config::interval, 1, 3600},
    {"watch", "life", &Config::life, 2, 86400},
};

Error Bad(const std::string& key, const std::string& why) {
  return Error(Code::kInvalid, "the configuration's '" + key + "' " + why);
}

Result<void> Set(const Key& key, const std::string& value, Config& config) {
  if (const auto* text = std::get_if<std::string Config::*>(&key.field)) {
    if (key.is_path && !value.starts_with('/')) return Bad(key.name, "must be an absolute path");
    config.*(*text) = value;
    return Ok();
  }
  int number = 0;
  auto [end, failed] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (failed != std::errc() || end != value.data() + value.size() || number < key.low ||
      number > key.high) {
    return Bad(key.name, "must be a number of seconds from " + std::to_string(key.low) + " to " +
                             std::to_string(key.high));
  }
  config.*std::get<std::chrono::seconds Config::*>(key.field) = std::chrono::seconds(number);
  return Ok();
}

}  // namespace

Result<Config> ParseConfig(const std::string& text) {
  Config config;
  for (const auto& [section, values] : ParseIni(text)) {
    for (const auto& [name, value] : values) {
      const Key* found = nullptr;
      for (const Key& key : kKeys) {
        if (section == key.section && name == key.name) found = &key;
      }
      std::string full = "[" + section + "] " + name;
      if (found == nullptr) return Bad(full, "is not known");
      TRY(Set(*found, value, config));
    }
  }
  return config;
}

Result<Config> ReadConfig(const std::string& path) {
  const std::string file = path.empty() ? kConfigFile : path;
  if (path.empty() && access(kConfigFile, F_OK) != 0) return Config();
  TRY(std::string text, ReadSmallFile(file));
  auto config = ParseConfig(text);
  if (!config.ok()) return Error(config.code(), file + ": " + config.error().message());
  config->file = file;
  return config;
}

}  // namespace tarn::mount
