// What tarn-bench can measure.
#pragma once

#include <string>
#include <string_view>

#include "tests/bench/runner.h"

namespace tarn::bench {

struct WorkloadOptions {
  std::string path;                  // where to work, from the root; must exist
  std::string directory = "bench";   // made in it; all connections share it
  uint64_t files = 10'000;           // of all connections together: file-0 and so on
  uint64_t files_per_directory = 0;  // 0: all in one; else in d0, d1 and so on in `directory`
  uint64_t file_bytes = 64 << 20;    // of one connection's file, for reads and writes
  uint32_t small_bytes = 0;          // what `create` writes into each file
  uint32_t io_bytes = 1 << 20;       // of one READ or WRITE
  bool sync = false;                 // writes are FILE_SYNC4 and not UNSTABLE4 with a COMMIT
  uint32_t connections = 1;
};

// The names Make knows, with a line about each.
struct WorkloadName {
  std::string_view name;
  std::string_view about;
  bool timed;  // runs for a while, not until all is done
};
const std::vector<WorkloadName>& WorkloadNames();

// Nothing for a name that is not known.
std::unique_ptr<Workload> Make(std::string_view name, const WorkloadOptions& options,
                               uint32_t thread);

// The directories of the names above, and their files.
class Tree {
 public:
  explicit Tree(const WorkloadOptions& options) : options_(options) {}
  // Looks the directories up; with `make`, makes them first where they are not there.
  bool Open(nfs_client::Client& client, bool make);
  const nfs_client::Fh& DirectoryOf(uint64_t file) const {
    uint64_t per = options_.files_per_directory;
    return directories_[per == 0 ? 0 : file / per];
  }
  const nfs_client::Fh& top() const { return top_; }

 private:
  const WorkloadOptions options_;
  nfs_client::Fh top_;
  std::vector<nfs_client::Fh> directories_;
};

// READ and WRITE of one file of the connection's own.
std::unique_ptr<Workload> MakeData(const WorkloadOptions& options, uint32_t thread, bool write,
                                   bool random);

}  // namespace tarn::bench
