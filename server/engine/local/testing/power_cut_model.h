// What a client did to a tree, and what the tree may be afterwards: the model of the power-cut
// test.
//
// A state is a value; copies share what does not differ. Pure; threads: any, on different states.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "server/engine/local/testing/content.h"
#include "server/vfs/file_system.h"

namespace tarn::local {

enum class Act {
  kCreate,
  kMakeDirectory,
  kSymlink,
  kWriteUnstable,
  kWriteStable,
  kCommit,
  kResize,
  kRename,
  kRemove,
  kLink,
  kSetMode,
  kPin,
  kSetXattr,
  kRemoveXattr,
  kClone,
  kAllocate,
  kPunch,
  kPutRecord,
  kDropRecord,
  kMakeRealm,
  kForgetRealm,  // its files stay
  kDeleteRealm,
};

struct Step {
  Act act;
  std::string path;   // below the worker's directory, or the record's key
  std::string other;  // the target of a rename, link, clone; the name of an attribute
  uint64_t offset = 0;
  uint64_t length = 0;
  char byte = 0;

  std::string ToText() const;
  // Is its answer the same when a client asks again after a restart?
  bool Replayable() const;
};

struct FileModel {
  vfs::FileType type = vfs::FileType::kRegular;
  uint32_t mode = 0644;
  std::string target;
  std::map<std::string, std::string> xattrs;
  // What the file may hold after a cut of power, byte by byte from any of these: the first is what
  // was made durable last, the last one what readers see now.
  std::vector<Content> versions{Content()};
};

class Model {
 public:
  // A step that succeeds in this state.
  Step Next(std::mt19937_64& random) const;
  // The state after the step.
  Model After(const Step& step) const;
  // Everything but the bytes of files, one line for each name and record.
  std::string Text() const;

  const std::map<std::string, uint64_t>& names() const { return names_; }
  const FileModel& file(uint64_t id) const { return *files_.at(id); }
  // nullptr: there is none.
  const FileModel* Find(uint64_t id) const;
  const std::map<std::string, std::string>& records() const { return records_; }

 private:
  std::optional<Step> Try(Act act, std::mt19937_64& random) const;
  std::optional<Step> TryNames(Act act, std::mt19937_64& random) const;
  std::optional<Step> TryData(Act act, std::mt19937_64& random) const;
  std::optional<Step> TryRealm(Act act, std::mt19937_64& random) const;
  std::string FreePath(std::mt19937_64& random) const;
  std::string AnyPath(std::mt19937_64& random, vfs::FileType type) const;
  bool Empty(const std::string& directory) const;
  // The directory that a realm begins at, of a path; empty: none.
  std::string RealmOf(const std::string& path) const;
  FileModel& Own(const std::string& path);
  void ApplyData(const Step& step);
  void Rename(const Step& step);

  std::map<std::string, uint64_t> names_;
  std::map<uint64_t, std::shared_ptr<FileModel>> files_;
  std::map<std::string, std::string> records_;
  std::set<std::string> realms_;
  uint64_t next_id_ = 1;
};

// One line of Text(). `first`: the least path of the same file.
std::string NameLine(const std::string& path, vfs::FileType type, uint32_t mode,
                     const std::string& first, const std::string& target,
                     const std::map<std::string, std::string>& xattrs);

}  // namespace tarn::local
