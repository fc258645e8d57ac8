// HelperRunner: does what may hang (mount, unmount, statfs, stat on a file system whose server is
// gone) in a child process that can be given up on.
//
// The child is this program again, as `tarn-csi helper OPERATION ARGUMENT…` (csi/mount/helper.h),
// made by posix_spawn: a fork of a process with gRPC threads would not be safe. Thread-safe.
#pragma once

#include <chrono>
#include <mutex>
#include <string>
#include <vector>

#include "common/result.h"

namespace tarn::csi {

class HelperRunner {
 public:
  // Children that were killed but are still inside the kernel. More are not started on top of them.
  static constexpr size_t kStuckMax = 64;
  static constexpr size_t kOutputBytesMax = 64 * 1024;

  // `program`: the path of tarn-csi.
  explicit HelperRunner(std::string program = "/proc/self/exe") : program_(std::move(program)) {}

  // What the child printed. kDeadlineExceeded: it was killed after `deadline`; kUnavailable: too
  // many are stuck; else the child's own error.
  Result<std::string> Run(const std::vector<std::string>& arguments,
                          std::chrono::milliseconds deadline);

 private:
  Result<void> MakeRoom();
  void GiveUp(int pid);

  const std::string program_;
  std::mutex mu_;
  std::vector<int> stuck_;
};

// The two ends of how a child tells its outcome: exit status 0 and output, or 1, the code's name, a
// newline and the message.
int ReportHelperResult(const Result<std::string>& result);
Result<std::string> ParseHelperResult(int exit_status, const std::string& output);

}  // namespace tarn::csi
