// /proc/self/mountinfo (proc(5)): the only place where the node plugin learns what is mounted.
// Reading it touches no mounted file system, so it never hangs.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace tarn::csi {

struct MountEntry {
  int id = 0;
  std::string device;  // "major:minor", one for each superblock
  std::string root;    // which directory of the file system is mounted
  std::string target;
  std::string options;  // of the mount, "rw,relatime"
  std::string type;     // "nfs4", "fuse.tarn"
  std::string source;
  std::string super_options;  // of the file system, "rw,vers=4.1,port=20049,addr=127.0.0.1"

  bool read_only() const { return options == "ro" || options.starts_with("ro,"); }
};

// Lines that are none are left out. In the order of the kernel: of several mounts on one target the
// last is on top.
std::vector<MountEntry> ParseMountInfo(std::string_view text);
Result<std::vector<MountEntry>> ReadMountInfo(const std::string& path = "/proc/self/mountinfo");

// The mount on top at `target` (exactly, without a trailing slash).
std::optional<MountEntry> FindMount(const std::vector<MountEntry>& mounts, std::string_view target);

}  // namespace tarn::csi
