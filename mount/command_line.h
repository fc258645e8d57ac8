// The command line of `mount.efs`, as people and mount(8) write it:
//
//   mount.efs [-sfnvrw] [-o OPTIONS]... DEVICE MOUNTPOINT
//   mount.efs --version | --help
//   mount.tarn --watch [--config FILE]
#pragma once

#include <string>
#include <vector>

#include "common/result.h"

namespace tarn::mount {

struct CommandLine {
  enum class What { kMount, kVersion, kHelp, kWatch };
  What what = What::kMount;
  std::string device, mount_point;
  std::vector<std::string> options;  // of each -o; "ro" of -r
  bool fake = false;                 // all but the mount itself
  bool sloppy = false;
  bool verbose = false;
  std::string config_file;  // of --watch
};

// kInvalid: it is none of these.
Result<CommandLine> ParseCommandLine(const std::vector<std::string>& arguments);

std::string UsageOf(const std::string& program);

}  // namespace tarn::mount
