// What `tarn-csi fuse` was asked to mount.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/result.h"
#include "csi/mount/fuse/connection.h"

namespace tarn::fuse {

struct Options {
  ServerAddress server;
  std::vector<std::string> path;  // components of the mounted path
  std::string source;             // what mount tables show
  std::string mountpoint;
  std::vector<std::string> mount_flags;  // for the kernel: ro, nosuid, noexec, nodev, noatime
  std::string log_level = "info";
  int ready_fd = -1;
  double attribute_seconds = 1.0;
  int connections = 4;
  uint32_t read_bytes = 1U << 20;
  uint32_t write_bytes = 1U << 20;
  std::optional<uint32_t> uid;  // when set, every request is from this user
  std::optional<uint32_t> gid;
};

// "ADDRESS:PORT", an IPv6 address in brackets. kInvalid names the flag and the fix.
Result<void> ParseServer(const std::string& text, Options& options);

// An absolute path without "." and "..".
Result<void> ParseExport(const std::string& text, Options& options);

// Comma-separated mount options, as csi/mount/mount_options.h lets them through. Those that say
// what this client does anyway, or that mean nothing to it, are ignored; a value out of bounds is
// kInvalid.
Result<void> ParseMountOptions(const std::string& text, Options& options);

// The -o list for libfuse: `source` and the flags. What is in the source's name is never taken for
// an option of its own.
std::string FuseOptionList(const Options& options);

}  // namespace tarn::fuse
