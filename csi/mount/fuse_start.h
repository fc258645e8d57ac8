// Starts `tarn-csi fuse` so that it outlives the pod that started it. Only for a helper process
// (one thread).
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "common/result.h"

namespace tarn::csi {

struct FuseStart {
  std::string log_file;  // its stdout and stderr; appended to, started anew when large
  // A cgroup of that name at the top of every hierarchy under /sys/fs/cgroup (version 1 and 2),
  // made when it is not there: when a container ends, its runtime kills everything in the
  // container's cgroup. Empty: stay.
  std::string cgroup;
  std::chrono::milliseconds deadline{0};  // until it is ready, else it is killed
  std::string target;                     // where it mounts
  std::vector<std::string> arguments;     // more of csi/mount/fuse/fuse_main.h; --ready-fd is added
};

// Returns when the mount is there and its server answered. An error: the FUSE process'
// own; kInternal: it ended without a word; kDeadlineExceeded.
Result<void> StartFuseProcess(const FuseStart& start);

// Moves the calling process. An error is for the log only: without cgroups at hand all else works.
Result<void> LeaveCgroup(const std::string& root, const std::string& name);

}  // namespace tarn::csi
