// Host: what the node plugin does to directories and mounts of its machine, each step in a helper
// process with a deadline. An interface, so that the node service is tested without root.
//
// Thread-safe. Every call may give kDeadlineExceeded. Paths are absolute, without a trailing slash.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/result.h"
#include "csi/mount/helper_runner.h"
#include "csi/mount/mount_info.h"

namespace tarn::csi {

struct Usage {
  uint64_t bytes_total = 0, bytes_used = 0, bytes_available = 0;
  uint64_t files_total = 0, files_used = 0, files_free = 0;
};

class Host {
 public:
  virtual ~Host() = default;
  virtual Result<std::vector<MountEntry>> Mounts() = 0;
  // kNotFound: nothing there; kStale: the process or server behind it is gone for good;
  // kDeadlineExceeded: it does not answer.
  virtual Result<void> Check(const std::string& path) = 0;
  // Makes `target`.
  virtual Result<void> Bind(const std::string& source, const std::string& target,
                            bool read_only) = 0;
  // Everything that is mounted on `target`: first politely, then, when it is busy or hangs, lazily.
  virtual Result<void> Unmount(const std::string& target, bool remove_directory) = 0;
  virtual Result<Usage> StatFs(const std::string& path) = 0;
};

struct HostDeadlines {
  std::chrono::milliseconds quick{5000};    // stat, statfs, bind
  std::chrono::milliseconds unmount{8000};  // a polite unmount may have to write data back
};

// `runner` must outlive it.
std::unique_ptr<Host> NewHost(HelperRunner& runner, HostDeadlines deadlines = {});

}  // namespace tarn::csi
