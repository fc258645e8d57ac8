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
Result<void> ParseValue(const std::string& name, const std::string& value, Options& options) {
  constexpr uint32_t kAny = UINT32_MAX;
  if (name == "uid") {
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
  }
  return Ok();
}

Result<void> ParseOne(const std::string& word, Options& options) {
  if (std::find(kForKernel.begin(), kForKernel.end(), word) != kForKernel.end()) {
    options.mount_flags.push_back(word);
    return Ok();
  }
  if (word == "noac") options.attribute_seconds = 0;
  size_t equals = word.find('=');
  if (equals == std::string::npos) return Ok();
  return ParseValue(word.substr(0, equals), word.substr(equals + 1), options);
}

}  // namespace

Result<void> ParseServer(const std::string& text, Options& options) {
  size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) {
    return Bad("--server: \"" + text + "\" is not ADDRESS:PORT");
  }
  TRY(uint32_t port, Number("--server port", text.substr(colon + 1), 1, 65535));
  options.server.port = static_cast<uint16_t>(port);
  std::string host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string::npos) {
    return Bad("--server: put the IPv6 address of \"" + text + "\" in brackets");
  }
  if (host.empty()) return Bad("--server: \"" + text + "\" names no address");
  options.server.host = host;
  return Ok();
}

Result<void> ParseExport(const std::string& text, Options& options) {
  if (!text.starts_with('/')) return Bad("--export: \"" + text + "\" does not start with /");
  options.path.clear();
  for (size_t at = 1; at < text.size();) {
    size_t next = std::min(text.find('/', at), text.size());
    std::string name = text.substr(at, next - at);
    if (name == "." || name == "..") return Bad("--export: \"" + name + "\" must not be in it");
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

std::string FuseOptionList(const Options& options) {
  std::string list = "allow_other,subtype=tarn,max_read=" + std::to_string(1U << 20) + ",fsname=";
  for (char c : options.source) {
    if (c == ',' || c == '\\') list += '\\';  // as libfuse reads it
    list += c;
  }
  for (const std::string& flag : options.mount_flags) list += "," + flag;
  return list;
}

}  // namespace tarn::fuse
