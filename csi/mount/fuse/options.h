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
  std::string source;             // as it was given; what mount tables show
  std::string mountpoint;
  std::vector<std::string> mount_flags;  // for the kernel: ro, nosuid, noexec, nodev, noatime
  bool foreground = false;
  std::string log_level = "info";
  double attribute_seconds = 1.0;
  int connections = 4;
  uint32_t read_bytes = 1U << 20;
  uint32_t write_bytes = 1U << 20;
  std::optional<uint32_t> uid;  // when set, every request is from this user
  std::optional<uint32_t> gid;
};

// "HOST[:PORT]:/path", HOST a name, an IPv4 address or an IPv6 address in brackets. kInvalid names
// the flag and the fix.
Result<void> ParseSource(const std::string& source, Options& options);

// Comma-separated mount options. Those of the kernel's NFS client that say what this client does
// anyway (hard, vers=4.0, proto=tcp, timeo=…) are accepted; soft and unknown ones are kInvalid.
Result<void> ParseMountOptions(const std::string& text, Options& options);

}  // namespace tarn::fuse
