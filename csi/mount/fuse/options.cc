#include "csi/mount/fuse/options.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace tarn::fuse {

namespace {

Error Bad(const std::string& message) {
  return Error(Code::kInvalid, message);
}

Result<uint32_t> Number(const std::string& name, std::string_view text, uint32_t low,
                        uint32_t high) {
  uint32_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < low || value > high) {
    return Bad(name + ": \"" + std::string(text) + "\" is not a number from " +
               std::to_string(low) + " to " + std::to_string(high));
  }
  return value;
}

constexpr std::array kForKernel = {"ro", "nosuid", "nodev", "noexec", "noatime", "dirsync"};
// What this client does anyway, or what does not apply to it.
constexpr std::array kAccepted = {
    "rw",         "suid",           "dev",       "exec",       "atime",       "relatime",
    "nodiratime", "hard",           "_netdev",   "noresvport", "resvport",    "async",
    "defaults",   "sec=sys",        "proto=tcp", "vers=4.0",   "nfsvers=4.0", "vers=4",
    "nfsvers=4",  "minorversion=0", "intr",      "nointr",     "allow_other"};
constexpr std::array kAcceptedNames = {"timeo", "retrans", "namlen", "retry", "clientaddr"};

Result<void> ParseValue(const std::string& name, const std::string& value, Options& options) {
  constexpr uint32_t kAny = UINT32_MAX;
  if (name == "port") {
    TRY(uint32_t port, Number("port", value, 1, 65535));
    options.server.port = static_cast<uint16_t>(port);
  } else if (name == "uid") {
    TRY(uint32_t uid, Number("uid", value, 0, kAny));
    options.uid = uid;
  } else if (name == "gid") {
    TRY(uint32_t gid, Number("gid", value, 0, kAny));
    options.gid = gid;
  } else if (name == "actimeo") {
    TRY(uint32_t seconds, Number("actimeo", value, 0, 3600));
    options.attribute_seconds = seconds;
  } else if (name == "nconnect") {
    TRY(uint32_t connections, Number("nconnect", value, 1, 16));
    options.connections = static_cast<int>(connections);
  } else if (name == "rsize") {
    TRY(uint32_t bytes, Number("rsize", value, 4096, kAny));
    options.read_bytes = std::min(bytes, 1U << 20);
  } else if (name == "wsize") {
    TRY(uint32_t bytes, Number("wsize", value, 4096, kAny));
    options.write_bytes = std::min(bytes, 1U << 20);
  } else if (std::find(kAcceptedNames.begin(), kAcceptedNames.end(), name) ==
             kAcceptedNames.end()) {
    return Bad("mount option \"" + name + "\" is not known to this client; leave it out");
  }
  return Ok();
}

Result<void> ParseOne(const std::string& word, Options& options) {
  if (std::find(kForKernel.begin(), kForKernel.end(), word) != kForKernel.end()) {
    options.mount_flags.push_back(word);
    return Ok();
  }
  if (std::find(kAccepted.begin(), kAccepted.end(), word) != kAccepted.end()) return Ok();
  if (word == "soft" || word == "softerr") {
    return Bad("mount option \"" + word +
               "\" would let programs see errors when the server restarts; only hard mounts exist");
  }
  if (word == "noac") {
    options.attribute_seconds = 0;
    return Ok();
  }
  size_t equals = word.find('=');
  if (equals == std::string::npos) {
    return Bad("mount option \"" + word + "\" is not known to this client; leave it out");
  }
  return ParseValue(word.substr(0, equals), word.substr(equals + 1), options);
}

}  // namespace

Result<void> ParseSource(const std::string& source, Options& options) {
  size_t slash = source.find(":/");
  size_t bracket = source.find(']');
  if (source.starts_with('[') && bracket != std::string::npos) slash = source.find(":/", bracket);
  if (slash == std::string::npos || slash == 0) {
    return Bad("--source: \"" + source + "\" is not HOST[:PORT]:/path");
  }
  std::string host = source.substr(0, slash);
  size_t colon = host.rfind(':');
  bool has_port = colon != std::string::npos &&
                  (host.starts_with('[') ? colon == bracket + 1 : host.find(':') == colon);
  if (has_port) {
    TRY(uint32_t port, Number("--source port", host.substr(colon + 1), 1, 65535));
    options.server.port = static_cast<uint16_t>(port);
    host.resize(colon);
  }
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host.empty()) return Bad("--source: \"" + source + "\" names no host");
  options.server.host = host;
  options.source = source;
  options.path.clear();
  std::string path = source.substr(slash + 1);
  for (size_t at = 0; at < path.size();) {
    size_t next = std::min(path.find('/', at), path.size());
    std::string name = path.substr(at, next - at);
    if (name == "." || name == "..")
      return Bad("--source: the path must not have \"" + name + "\"");
    if (!name.empty()) options.path.push_back(name);
    at = next + 1;
  }
  return Ok();
}

Result<void> ParseMountOptions(const std::string& text, Options& options) {
  for (size_t at = 0; at < text.size();) {
    size_t next = std::min(text.find(',', at), text.size());
    std::string word = text.substr(at, next - at);
    if (!word.empty()) TRY(ParseOne(word, options));
    at = next + 1;
  }
  return Ok();
}

}  // namespace tarn::fuse
