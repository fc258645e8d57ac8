// Workload: random changes in one directory, each told to a log before it begins and after it was
// acknowledged, so that after a kill -9 another process can tell what must be there.
//
// A Model knows what a directory holds after a sequence of operations. Threads: one for each
// Workload and its log.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "server/vfs/file_system.h"

namespace tarn::local {

enum class OpKind : uint8_t {
  kCreate,
  kWrite,
  kWriteAndCommit,
  kCut,
  kRename,
  kRemove,
  kLink,
  kClone,     // all of it, to the start of the other
  kPunch,     // Deallocate
  kAllocate,  // which may make it longer
};

struct Op {
  OpKind kind = OpKind::kCreate;
  uint32_t name = 0;
  uint32_t other = 0;   // kRename, kLink: the new name; kClone: the target
  uint64_t offset = 0;  // kCut: the size
  uint64_t length = 0;
  char byte = 'a';

  static Op Random(std::mt19937_64& random);
  std::string ToText() const;
  static std::optional<Op> FromText(const std::string& text);
};

// Names of a directory and what their files hold.
class Model {
 public:
  using Content = std::shared_ptr<std::string>;
  void Apply(const Op& op);
  const std::map<uint32_t, Content>& names() const { return names_; }
  // An independent copy, with the hard links that there are.
  Model Copy() const;

 private:
  std::map<uint32_t, Content> names_;
};

// Does one operation; true: it was acknowledged. kNoEntry, kExists and the like are answers too.
Result<bool> Perform(vfs::FileSystem& fs, vfs::FileId directory, const Op& op);

// Runs until the process ends, or for `limit` operations. Lines in the log: "B op" before, "D ok"
// or "D no" after.
Result<void> RunWorkload(vfs::FileSystem& fs, vfs::FileId directory, uint64_t seed,
                         const std::string& log, uint64_t limit);

struct LoggedRun {
  Model acknowledged;
  std::optional<Op> unfinished;
  uint64_t operations = 0;
};
LoggedRun ReadLog(const std::string& path);

// What is wrong with the directory, given the run; empty: nothing.
std::vector<std::string> Verify(vfs::FileSystem& fs, vfs::FileId directory, const LoggedRun& run);

}  // namespace tarn::local
