#include "csi/mount/mount_options.h"

#include <sys/mount.h>

#include <algorithm>
#include <charconv>

#include "common/ids.h"

namespace tarn::csi {
namespace {

struct Rule {
  const char* name;
  enum Kind { kFlag, kClearFlag, kWord, kNumber, kChoice, kIgnored } kind;
  unsigned long flag = 0;
  uint64_t low = 0, high = 0;
  std::vector<std::string> choices = {};
  // Of options that exclude each other (hard, soft) only the last counts: they share this name.
  const char* group = nullptr;
};

const std::vector<Rule>& Rules() {
  static const std::vector<Rule> rules = {
      {"ro", Rule::kFlag, MS_RDONLY},
      {"rw", Rule::kClearFlag, MS_RDONLY},
      {"nosuid", Rule::kFlag, MS_NOSUID},
      {"suid", Rule::kClearFlag, MS_NOSUID},
      {"nodev", Rule::kFlag, MS_NODEV},
      {"dev", Rule::kClearFlag, MS_NODEV},
      {"noexec", Rule::kFlag, MS_NOEXEC},
      {"exec", Rule::kClearFlag, MS_NOEXEC},
      {"noatime", Rule::kFlag, MS_NOATIME},
      {"atime", Rule::kClearFlag, MS_NOATIME},
      {"nodiratime", Rule::kFlag, MS_NODIRATIME},
      {"diratime", Rule::kClearFlag, MS_NODIRATIME},
      {"relatime", Rule::kFlag, MS_RELATIME},
      {"strictatime", Rule::kFlag, MS_STRICTATIME},
      {"sync", Rule::kFlag, MS_SYNCHRONOUS},
      {"async", Rule::kClearFlag, MS_SYNCHRONOUS},
      {"dirsync", Rule::kFlag, MS_DIRSYNC},
      {"hard", Rule::kWord, 0, 0, 0, {}, "hard"},
      {"soft", Rule::kWord, 0, 0, 0, {}, "hard"},
      {"softerr", Rule::kWord, 0, 0, 0, {}, "hard"},
      {"softreval", Rule::kWord, 0, 0, 0, {}, "softreval"},
      {"nosoftreval", Rule::kWord, 0, 0, 0, {}, "softreval"},
      {"resvport", Rule::kWord, 0, 0, 0, {}, "resvport"},
      {"noresvport", Rule::kWord, 0, 0, 0, {}, "resvport"},
      {"ac", Rule::kWord, 0, 0, 0, {}, "ac"},
      {"noac", Rule::kWord, 0, 0, 0, {}, "ac"},
      {"cto", Rule::kWord, 0, 0, 0, {}, "cto"},
      {"nocto", Rule::kWord, 0, 0, 0, {}, "cto"},
      {"rdirplus", Rule::kWord, 0, 0, 0, {}, "rdirplus"},
      {"nordirplus", Rule::kWord, 0, 0, 0, {}, "rdirplus"},
      {"sharecache", Rule::kWord, 0, 0, 0, {}, "sharecache"},
      {"nosharecache", Rule::kWord, 0, 0, 0, {}, "sharecache"},
      {"timeo", Rule::kNumber, 0, 1, 6000},
      {"retrans", Rule::kNumber, 0, 0, 100},
      {"rsize", Rule::kNumber, 0, 4096, 1048576},
      {"wsize", Rule::kNumber, 0, 4096, 1048576},
      {"acregmin", Rule::kNumber, 0, 0, 86400},
      {"acregmax", Rule::kNumber, 0, 0, 86400},
      {"acdirmin", Rule::kNumber, 0, 0, 86400},
      {"acdirmax", Rule::kNumber, 0, 0, 86400},
      {"actimeo", Rule::kNumber, 0, 0, 3600},
      {"nconnect", Rule::kNumber, 0, 1, 16},
      {"minorversion", Rule::kNumber, 0, 0, 2, {}, "vers"},
      {"vers", Rule::kChoice, 0, 0, 0, {"4", "4.0", "4.1", "4.2"}, "vers"},
      {"nfsvers", Rule::kChoice, 0, 0, 0, {"4", "4.0", "4.1", "4.2"}, "vers"},
      {"lookupcache", Rule::kChoice, 0, 0, 0, {"all", "none", "pos", "positive"}},
      {"local_lock", Rule::kChoice, 0, 0, 0, {"none"}},
      {"sec", Rule::kChoice, 0, 0, 0, {"sys"}},
      {"proto", Rule::kChoice, 0, 0, 0, {"tcp", "tcp6"}},
      {"tcp", Rule::kIgnored},
      {"_netdev", Rule::kIgnored},
      {"nofail", Rule::kIgnored},
      {"defaults", Rule::kIgnored},
      // Where the EFS mount helper finds AWS credentials; the EFS driver drops it as well.
      {"awscredsuri", Rule::kIgnored},
  };
  return rules;
}

Error Bad(const std::string& option, const std::string& why) {
  return Error(Code::kInvalid, "mount option '" + option + "' " + why);
}

// An option in quotes may be in a log line or an event: no control characters come out.
std::string Printable(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return text.substr(0, 64);
}

Result<void> CheckText(const std::string& option) {
  if (option.empty()) return Bad("", "is empty");
  for (char c : option) {
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f || c == ',') {
      return Bad(Printable(option),
                 "holds a comma, a space or a control character: list each option by itself");
    }
  }
  return Ok();
}

Result<void> CheckValue(const Rule& rule, const std::string& option, const std::string& value) {
  if (rule.kind == Rule::kNumber) {
    uint64_t number = 0;
    auto [end, failed] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (failed != std::errc() || end != value.data() + value.size() || number < rule.low ||
        number > rule.high) {
      return Bad(option, "must be a number from " + std::to_string(rule.low) + " to " +
                             std::to_string(rule.high));
    }
  }
  if (rule.kind == Rule::kChoice &&
      std::find(rule.choices.begin(), rule.choices.end(), value) == rule.choices.end()) {
    std::string all;
    for (const auto& choice : rule.choices) all += (all.empty() ? "" : ", ") + choice;
    return Bad(option, "is not supported: it may be " + all);
  }
  return Ok();
}

void Apply(const Rule& rule, const std::string& value, MountOptions& options) {
  if (rule.kind == Rule::kFlag) options.flags |= rule.flag;
  if (rule.kind == Rule::kClearFlag) options.flags &= ~rule.flag;
  if (rule.kind == Rule::kIgnored || rule.flag != 0) return;
  if (rule.group != nullptr) {
    for (const Rule& other : Rules()) {
      if (other.group != nullptr && std::string_view(other.group) == rule.group) {
        options.nfs.erase(other.name);
      }
    }
  }
  std::string name = rule.name;
  std::string kept = value;
  if (name == "nfsvers") name = "vers";
  if (name == "minorversion") name = "vers", kept = "4." + value;
  if (name == "vers" && kept == "4") kept = "4.1";
  options.nfs[name] = kept;
}

// Those of the EFS mount helper that say how to get to the server. The texts are the EFS driver's.
Result<bool> ParseHelperOption(const std::string& name, const std::string& value,
                               const std::string& access_point_id, MountOptions& options) {
  if (name == "accesspoint") {
    if (!IsId(kAccessPointPrefix, value)) {
      return Error(Code::kInvalid, "Access Point ID " + Printable(value) + " is malformed");
    }
    if (!access_point_id.empty() && value != access_point_id) {
      return Error(Code::kInvalid, "Found conflicting access point IDs in mountOptions (" + value +
                                       ") and volumeHandle (" + access_point_id + ")");
    }
    options.access_point_id = value;
    return true;
  }
  if (name != "tls" && name != "iam") return false;
  if (!value.empty()) return Bad(name + "=" + value, "takes no value");
  (name == "tls" ? options.tls : options.iam) = true;
  return true;
}

Result<void> ParseOne(const std::string& given, const std::string& access_point_id,
                      MountOptions& options) {
  TRY(CheckText(given));
  std::string option = given;
  std::transform(option.begin(), option.end(), option.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  size_t equals = option.find('=');
  std::string name = option.substr(0, equals);
  std::string value = equals == std::string::npos ? "" : option.substr(equals + 1);
  TRY(bool taken, ParseHelperOption(name, value, access_point_id, options));
  if (taken) return Ok();
  for (const Rule& rule : Rules()) {
    if (name != rule.name) continue;
    bool takes_value = rule.kind == Rule::kNumber || rule.kind == Rule::kChoice;
    if (takes_value && value.empty()) return Bad(option, "needs a value");
    if (!takes_value && equals != std::string::npos && rule.kind != Rule::kIgnored) {
      return Bad(option, "takes no value");
    }
    TRY(CheckValue(rule, option, value));
    Apply(rule, value, options);
    return Ok();
  }
  return Bad(option, "is not supported");
}

}  // namespace

std::string MountOptions::ToString() const {
  std::string text;
  auto add = [&](const std::string& option) { text += (text.empty() ? "" : ",") + option; };
  for (const Rule& rule : Rules()) {
    if (rule.kind == Rule::kFlag && (flags & rule.flag) != 0) add(rule.name);
  }
  for (const auto& [name, value] : nfs) add(value.empty() ? name : name + "=" + value);
  return text;
}

Result<MountOptions> ParseMountOptions(const std::vector<std::string>& list,
                                       const std::string& access_point_id) {
  MountOptions options;
  options.access_point_id = access_point_id;
  for (const auto& option : list) TRY(ParseOne(option, access_point_id, options));
  return options;
}

Result<bool> IsEncrypted(const MountOptions& options, std::optional<bool> asked, bool otherwise) {
  if (asked == false && options.tls) {
    return Error(Code::kInvalid, "Found tls in mountOptions but encryptInTransit is false");
  }
  const bool encrypted = asked.value_or(otherwise || options.tls);
  if (options.iam && !encrypted) {
    return Error(Code::kInvalid, "The \"tls\" option is required when mounting via \"iam\"");
  }
  return encrypted;
}

std::string NfsMountData(const MountOptions& options, const std::string& server_address, int port,
                         const std::string& client_address) {
  std::map<std::string, std::string> all = options.nfs;
  auto fill = [&](const char* name, const char* value) { all.try_emplace(name, value); };
  fill("vers", "4.1");
  fill("rsize", "1048576");
  fill("wsize", "1048576");
  fill("timeo", "600");
  fill("retrans", "2");
  fill("sec", "sys");
  fill("proto", server_address.find(':') == std::string::npos ? "tcp" : "tcp6");
  if (!all.contains("soft") && !all.contains("softerr")) fill("hard", "");
  // A new source port after a reconnect: it gets through firewalls and NAT that still hold the old
  // one.
  if (!all.contains("resvport")) fill("noresvport", "");
  std::string data;
  for (const auto& [name, value] : all) {
    data += (data.empty() ? "" : ",") + name + (value.empty() ? "" : "=" + value);
  }
  if (port != 2049) data += ",port=" + std::to_string(port);
  data += ",addr=" + server_address;
  if (!client_address.empty()) data += ",clientaddr=" + client_address;
  return data;
}

}  // namespace tarn::csi
