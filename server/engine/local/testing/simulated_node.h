// The files and directories of a SimulatedDisk: what programs see, what is on stable storage, and
// the changes between the two; and what a cut of power makes of those.
//
// Threads: none of its own; the disk's lock guards all.
#pragma once

#include <map>
#include <memory>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "server/engine/local/testing/content.h"
#include "server/engine/local/testing/simulated_disk.h"

namespace tarn::local {

// More changes than this wait for no sync, as with a system that writes back by itself: the older
// half becomes durable. Of one file, and of all names.
inline constexpr size_t kUnsyncedMax = 4096;

struct FileChange {
  enum class Kind { kWrite, kResize, kAllocate, kPunch };
  Kind kind;
  uint64_t offset;  // kResize: the new size
  uint64_t length;
  std::string bytes;  // kWrite

  void Apply(Content& content) const;
  // What a cut of power may leave of it: nothing, all, or some sectors; the size for itself.
  void ApplySome(Content& content, std::mt19937_64& random) const;
};

struct SimulatedDisk::Node {
  explicit Node(Type of_type) : type(of_type) {}
  void Do(FileChange change);
  void Sync();
  // A sync failed: of what it was to write, a part is on the disk and the rest never will be.
  void LoseSome(std::mt19937_64& random);

  const Type type;
  // Of a file.
  Content now;
  Content durable;
  std::vector<FileChange> unsynced;
  int opened = 0;
  int names = 0;
  uint64_t counted = 0;  // pages, in the disk's sum
  bool locked = false;
  // Of a directory.
  std::map<std::string, NodePtr> entries;
  std::map<std::string, NodePtr> durable_entries;
};

// Changes of names that are on stable storage together, or not at all.
struct SimulatedDisk::NameChange {
  struct Edit {
    NodePtr directory;
    std::string name;
    NodePtr node;  // null: the name is gone
  };
  std::vector<Edit> edits;

  void MakeDurable() const;
  // Makes those of a directory durable, and takes them from the list.
  static void Sync(std::vector<NameChange>& changes, const NodePtr& directory);
};

// Makes copies of nodes, with all below them, each once.
class SimulatedDisk::Copies {
 public:
  NodePtr Of(const NodePtr& node);
  NameChange Of(const NameChange& change);
  const std::vector<Node*>& made() const { return made_; }

 private:
  std::unordered_map<const Node*, NodePtr> copies_;
  std::vector<Node*> made_;
};

// The way of one cut of power, from a seed.
class SimulatedDisk::PowerCut {
 public:
  explicit PowerCut(uint64_t seed);
  // The directory, and all below it, as they are afterwards.
  NodePtr Directory(const NodePtr& directory, const std::vector<NameChange>& unsynced);
  const std::vector<Node*>& made() const { return made_; }

 private:
  using Entries = std::map<std::string, NodePtr>;
  // Does a change survive?
  bool Survives();
  NodePtr After(const NodePtr& node);
  Content ContentAfter(const Node& node);

  // What becomes of one name does not depend on what other files there are: which ones the
  // database has is a matter of its threads' timing.
  void DecideFor(const std::string& name);

  const uint64_t seed_;
  std::mt19937_64 random_;
  // Of all changes: none, all, the older ones, or each by chance.
  enum class Way { kNothing, kAll, kOlder, kSome, kTorn };
  Way way_;
  std::unordered_map<const Node*, Entries> entries_;
  std::unordered_map<const Node*, size_t> survivors_;  // older changes of names, of each directory
  std::unordered_map<const Node*, NodePtr> copies_;
  std::vector<Node*> made_;
};

}  // namespace tarn::local
