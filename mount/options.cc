#include "mount/options.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "common/ids.h"
#include "common/ip_address.h"
#include "common/text.h"
#include "mount/text.h"

namespace tarn::mount {
namespace {

using Given = std::map<std::string, std::string>;  // of the helper's own options, by name

Error Bad(const std::string& why) {
  return Error(Code::kInvalid, why);
}

// Taken out before NFS. Of those without effect here: servers are always verified, tokens and keys
// need no other account's role, and the tunnel chooses its ports.
constexpr std::string_view kOwn[] = {"accesspoint",  "awscredsuri",
                                     "awsprofile",   "az",
                                     "azid",         "cafile",
                                     "capath",       "config",
                                     "crossaccount", "iam",
                                     "jwtpath",      "mounttargetip",
                                     "netns",        "nodirects3read",
                                     "noocsp",       "nos3readcache",
                                     "notls",        "ocsp",
                                     "port",         "region",
                                     "rolearn",      "stunnel",
                                     "tls",          "tlsport",
                                     "verify"};

// Of mount(8) and fstab: they say when to mount, and who may.
constexpr std::string_view kOfMount[] = {"auto",  "noauto", "user",    "nouser", "users",
                                         "owner", "group",  "nogroup", "noowner"};

constexpr std::string_view kTakesValue[] = {"accesspoint", "awsprofile",    "az",      "azid",
                                            "cafile",      "config",        "jwtpath", "port",
                                            "region",      "mounttargetip", "tlsport"};

template <size_t N>
bool IsOneOf(const std::string_view (&list)[N], std::string_view name) {
  return std::find(std::begin(list), std::end(list), name) != std::end(list);
}

bool IsOfMount(const std::string& name) {
  return IsOneOf(kOfMount, name) || name == "comment" || name.starts_with("x-") ||
         name.starts_with("X-");
}

std::optional<int> Number(const std::string& text) {
  int number = 0;
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

Result<void> CheckEachOther(const Given& given) {
  auto has = [&](const char* name) { return given.contains(name); };
  auto exclusive = [&](const std::string& a, const std::string& b) -> Result<void> {
    if (!given.contains(a) || !given.contains(b)) return Ok();
    return Bad("The \"" + a + "\" and \"" + b + "\" options are mutually exclusive");
  };
  if (has("capath")) return Bad("Unsupported mount options detected: \"capath\"");
  TRY(exclusive("port", "tls"));
  if (has("tlsport") && !Number(given.at("tlsport"))) {
    return Bad("tlsport option [" + given.at("tlsport") + "] is not an integer");
  }
  TRY(exclusive("ocsp", "noocsp"));
  TRY(exclusive("tls", "notls"));
  for (const char* name : {"accesspoint", "iam"}) {
    if (has(name) && !has("tls")) {
      return Bad("The \"tls\" option is required when mounting via \"" + std::string(name) + "\"");
    }
  }
  if (has("awsprofile") && !has("iam")) {
    return Bad(
        "The \"iam\" option is required when mounting with named profile option, \"awsprofile\"");
  }
  if (has("jwtpath") && !has("iam")) {
    return Bad("The \"iam\" option is required when mounting with a token, \"jwtpath\"");
  }
  if (has("mounttargetip") && has("crossaccount")) {
    return Bad("mounttargetip option is incompatible with crossaccount option.");
  }
  return Ok();
}

// What the original has and Tarn has not.
Result<void> CheckSupported(const Given& given) {
  struct Missing {
    const char* name;
    const char* instead;
  };
  for (const auto& [name, instead] :
       {Missing{"awscredsuri", "use \"awsprofile\" or \"jwtpath\""},
        Missing{"rolearn", "use \"jwtpath\" alone: the token itself is the identity"},
        Missing{"netns", "run the mount in that network namespace"},
        Missing{"ocsp", "certificates of file servers are of the cluster's own authority"}}) {
    if (given.contains(name)) {
      return Bad("The \"" + std::string(name) + "\" option is not supported: " + instead);
    }
  }
  return Ok();
}

Result<void> Fill(const Given& given, Options& options) {
  auto get = [&](const char* name) {
    auto found = given.find(name);
    return found == given.end() ? std::string() : found->second;
  };
  options.tls = given.contains("tls");
  options.iam = given.contains("iam");
  options.access_point_id = get("accesspoint");
  if (given.contains("accesspoint") && !IsId(kAccessPointPrefix, options.access_point_id)) {
    return Bad("Access Point ID " + options.access_point_id + " is malformed");
  }
  options.jwt_path = get("jwtpath");
  options.profile = get("awsprofile");
  options.region = get("region");
  options.zone = given.contains("az") ? get("az") : get("azid");
  options.authority_file = get("cafile");
  options.config_file = get("config");
  for (const char* name : {"jwtpath", "cafile", "config"}) {
    if (given.contains(name) && !get(name).starts_with('/')) {
      return Bad("The \"" + std::string(name) + "\" option must be an absolute path");
    }
  }
  options.mount_target_ip = get("mounttargetip");
  if (given.contains("mounttargetip") && !IpAddress::Parse(options.mount_target_ip)) {
    return Bad("mounttargetip option [" + options.mount_target_ip + "] is not an IP address");
  }
  if (!given.contains("port")) return Ok();
  options.port = Number(get("port"));
  if (options.port && *options.port >= 1 && *options.port <= 65535) return Ok();
  return Bad("port option [" + get("port") + "] is not a port");
}

Result<void> TakeOne(const std::string& option, Given& given, std::vector<std::string>& rest) {
  if (HasControlCharacter(option)) {
    return Bad("mount options may hold no line ends or other control characters");
  }
  size_t equals = option.find('=');
  std::string name = option.substr(0, equals);
  if (name.empty() || IsOfMount(name)) return Ok();
  if (name == "remount") {
    return Bad("\"remount\" is not supported: unmount it, and mount it again");
  }
  if (!IsOneOf(kOwn, name)) {
    rest.push_back(option);
    return Ok();
  }
  std::string value = equals == std::string::npos ? "" : option.substr(equals + 1);
  if (IsOneOf(kTakesValue, name) && value.empty()) {
    return Bad("The \"" + name + "\" option needs a value");
  }
  given[name] = value;
  return Ok();
}

}  // namespace

Result<Options> ParseOptions(const std::vector<std::string>& lists, bool sloppy) {
  Given given;
  std::vector<std::string> rest;
  for (const auto& list : lists) {
    for (auto option : Split(list, ',')) TRY(TakeOne(std::string(option), given, rest));
  }
  Options options;
  TRY(CheckEachOther(given));
  TRY(CheckSupported(given));
  TRY(Fill(given, options));
  if (sloppy) {
    std::erase_if(rest, [](const auto& one) { return !csi::ParseMountOptions({one}, "").ok(); });
  }
  TRY(options.nfs, csi::ParseMountOptions(rest, ""));
  return options;
}

}  // namespace tarn::mount
