// A client of the power-cut test: does steps in a directory of its own, remembers the state after
// each, and compares what a cut left with them.
//
// Threads: Work in one; answered and begun in any; Check when Work has ended.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "common/result.h"
#include "server/engine/local/testing/power_cut_model.h"
#include "server/vfs/file_system.h"

namespace tarn::local {

class Client {
 public:
  Client(int number, uint64_t seed);
  // Makes its directory.
  Result<void> Prepare(vfs::Engine& engine);
  Result<void> Work(vfs::Engine& engine, int steps);
  // Steps so far.
  size_t answered() const { return answered_.load(); }
  size_t begun() const { return begun_.load(); }
  // What is wrong after a cut, when so many steps were answered and begun. Asks for the last
  // change of names again, as a client does whose answer was lost.
  std::vector<std::string> Check(vfs::Engine& engine, size_t answered, size_t begun);
  // Does the file system still take writes?
  Result<void> StillWorks(vfs::Engine& engine);

 private:
  Result<vfs::FileId> Find(vfs::FileSystem& fs, const std::string& path) const;
  // The directory of a path, and its last name.
  Result<vfs::FileId> Above(vfs::FileSystem& fs, const std::string& path, std::string* name) const;
  vfs::Caller CallerOf(size_t number) const;
  // What the answer says that a replay must say too.
  Result<std::string> Perform(vfs::Engine& engine, const Step& step, size_t number);
  Result<std::string> PerformNames(vfs::FileSystem& fs, const Step& step,
                                   const vfs::Caller& caller);
  Result<std::string> PerformData(vfs::FileSystem& fs, const Step& step, const vfs::Caller& caller);
  Result<std::string> PerformRealm(vfs::FileSystem& fs, const Step& step);
  Result<void> Write(vfs::FileSystem& fs, vfs::FileId file, const Step& step);
  struct Seen;
  Result<void> Walk(vfs::FileSystem& fs, vfs::FileId directory, const std::string& prefix,
                    Seen& seen);
  Result<std::string> TextOf(vfs::Engine& engine, Seen& seen);
  std::string LastSteps(size_t until) const;
  std::string CheckFiles(vfs::FileSystem& fs, const Seen& seen, size_t state,
                         std::pair<size_t, size_t> range);
  std::string CheckBytes(vfs::FileSystem& fs, vfs::FileId file,
                         const std::vector<const Content*>& versions);

  const std::string name_;
  std::mt19937_64 random_;
  std::atomic<size_t> answered_{0};
  std::atomic<size_t> begun_{0};
  std::vector<Step> steps_;
  std::vector<std::string> answers_;
  std::vector<Model> states_{Model()};  // before the first step, after it, after the second
};

}  // namespace tarn::local
