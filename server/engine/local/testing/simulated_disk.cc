#include "server/engine/local/testing/simulated_disk.h"

#include <rocksdb/env.h>

#include <algorithm>
#include <cerrno>

#include "server/engine/local/testing/database_files.h"
#include "server/engine/local/testing/simulated_node.h"

namespace tarn::local {
namespace {

int Fail(int error) {
  errno = error;
  return -1;
}

// "/a/b" is "a" and "b".
std::vector<std::string> Split(const std::string& path) {
  std::vector<std::string> parts;
  for (size_t at = 0; at < path.size();) {
    size_t end = std::min(path.find('/', at), path.size());
    if (end > at) parts.push_back(path.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

}  // namespace

// An open file. Keeps its node, also when its name is gone.
class SimulatedDisk::Handle final : public DiskFile {
 public:
  Handle(SimulatedDisk& disk, NodePtr node, std::string path)
      : disk_(disk), node_(std::move(node)), path_(std::move(path)) {}
  ~Handle() override {
    std::lock_guard lock(disk_.mutex_);
    if (locked_) node_->locked = false;
    --node_->opened;
    disk_.Count(*node_);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  ssize_t Read(uint64_t offset, std::span<std::byte> buffer) override {
    if (disk_.Ask({Kind::kRead, path_, offset, buffer.size()}) != 0) return -1;
    std::lock_guard lock(disk_.mutex_);
    return static_cast<ssize_t>(node_->now.Read(offset, buffer));
  }
  ssize_t Write(uint64_t offset, std::span<const iovec> parts) override {
    std::string bytes;
    for (const iovec& part : parts) bytes.append(static_cast<char*>(part.iov_base), part.iov_len);
    if (disk_.Ask({Kind::kWrite, path_, offset, bytes.size()}) != 0) return -1;
    std::lock_guard lock(disk_.mutex_);
    if (!disk_.Fits(node_->now.HolesIn(offset, bytes.size()))) {
      // As much as fits, page for page.
      size_t fits = 0;
      while (fits < bytes.size()) {
        uint64_t step =
            std::min<uint64_t>(bytes.size() - fits, kPageBytes - (offset + fits) % kPageBytes);
        if (!disk_.Fits(node_->now.HolesIn(offset, fits + step))) break;
        fits += step;
      }
      if (fits == 0) return Fail(ENOSPC);
      bytes.resize(fits);
    }
    auto written = static_cast<ssize_t>(bytes.size());
    node_->Do({FileChange::Kind::kWrite, offset, 0, std::move(bytes)});
    disk_.Count(*node_);
    return written;
  }
  int Truncate(uint64_t bytes) override {
    return Do(Kind::kResize, {FileChange::Kind::kResize, bytes, 0, ""}, 0);
  }
  int Allocate(uint64_t offset, uint64_t bytes) override {
    return Do(Kind::kAllocate, {FileChange::Kind::kAllocate, offset, bytes, ""}, bytes);
  }
  int Punch(uint64_t offset, uint64_t bytes) override {
    return Do(Kind::kPunch, {FileChange::Kind::kPunch, offset, bytes, ""}, 0);
  }
  int Sync() override {
    bool fails = disk_.Ask({Kind::kSync, path_, 0, 0}) != 0;
    int error = errno;
    std::lock_guard lock(disk_.mutex_);
    ++disk_.syncs_;
    if (fails) {
      node_->LoseSome(disk_.random_);
      disk_.Count(*node_);
      return Fail(error);
    }
    node_->Sync();
    return 0;
  }
  void StartWriteback() override {}
  int64_t Size() override {
    std::lock_guard lock(disk_.mutex_);
    return static_cast<int64_t>(node_->now.size());
  }
  int Lock() override {
    std::lock_guard lock(disk_.mutex_);
    if (node_->locked) return Fail(EWOULDBLOCK);
    node_->locked = locked_ = true;
    return 0;
  }

 private:
  int Do(Kind kind, FileChange change, uint64_t allocated) {
    if (disk_.Ask({kind, path_, change.offset, change.length}) != 0) return -1;
    std::lock_guard lock(disk_.mutex_);
    if (!disk_.Fits(node_->now.HolesIn(change.offset, allocated))) return Fail(ENOSPC);
    node_->Do(std::move(change));
    disk_.Count(*node_);
    return 0;
  }

  SimulatedDisk& disk_;
  const NodePtr node_;
  const std::string path_;
  bool locked_ = false;
};

SimulatedDisk::SimulatedDisk(uint64_t seed, uint64_t capacity)
    : random_(seed),
      capacity_(capacity),
      root_(std::make_shared<Node>(Type::kDirectory)),
      env_(MakeDatabaseEnv(*this)) {
  root_->names = 1;
}

SimulatedDisk::~SimulatedDisk() = default;

void SimulatedDisk::SetHook(Hook hook) {
  std::lock_guard lock(mutex_);
  hook_ = hook ? std::make_shared<const Hook>(std::move(hook)) : nullptr;
}

int SimulatedDisk::Ask(const Call& call) const {
  std::shared_ptr<const Hook> hook;
  {
    std::lock_guard lock(mutex_);
    hook = hook_;
  }
  int error = hook ? (*hook)(call) : 0;
  return error == 0 ? 0 : Fail(error);
}

// After a change of a node: what it takes now instead of what was counted.
void SimulatedDisk::Count(Node& node) {
  uint64_t pages = node.names > 0 || node.opened > 0 ? node.now.pages() : 0;
  used_pages_ = used_pages_ - node.counted + pages;
  node.counted = pages;
}

SimulatedDisk::NodePtr SimulatedDisk::Find(const std::string& path) const {
  NodePtr at = root_;
  for (const std::string& part : Split(path)) {
    if (at->type != Type::kDirectory) return Fail(ENOTDIR), nullptr;
    auto found = at->entries.find(part);
    if (found == at->entries.end()) return Fail(ENOENT), nullptr;
    at = found->second;
  }
  return at;
}

SimulatedDisk::NodePtr SimulatedDisk::FindAbove(const std::string& path, std::string* name) const {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos || slash + 1 == path.size()) return Fail(EINVAL), nullptr;
  *name = path.substr(slash + 1);
  NodePtr above = Find(path.substr(0, slash));
  if (above && above->type != Type::kDirectory) return Fail(ENOTDIR), nullptr;
  return above;
}

void SimulatedDisk::Change(NameChange change) {
  for (auto& edit : change.edits) {
    auto& entry = edit.directory->entries[edit.name];
    if (entry) {
      --entry->names;
      Count(*entry);
    }
    entry = edit.node;
    if (entry) {
      ++entry->names;
      Count(*entry);
    } else {
      edit.directory->entries.erase(edit.name);
    }
  }
  unsynced_names_.push_back(std::move(change));
  if (unsynced_names_.size() <= kUnsyncedMax) return;
  auto half = unsynced_names_.begin() + kUnsyncedMax / 2;
  std::for_each(unsynced_names_.begin(), half, [](auto& older) { older.MakeDurable(); });
  unsynced_names_.erase(unsynced_names_.begin(), half);
}

std::unique_ptr<DiskFile> SimulatedDisk::Open(const std::string& path, Mode mode) {
  if (Ask({Kind::kOpen, path, 0, 0}) != 0) return nullptr;
  std::lock_guard lock(mutex_);
  NodePtr node = Find(path);
  bool create = mode == Mode::kCreate || mode == Mode::kTruncate;
  if (!node && errno == ENOENT && create) {
    std::string name;
    NodePtr above = FindAbove(path, &name);
    if (!above) return nullptr;
    node = std::make_shared<Node>(Type::kFile);
    Change({{{above, name, node}}});
  }
  if (!node) return nullptr;
  if (node->type != Type::kFile) return Fail(EISDIR), nullptr;
  ++node->opened;
  if (mode == Mode::kTruncate && node->now.size() > 0) {
    node->Do({FileChange::Kind::kResize, 0, 0, ""});
    Count(*node);
  }
  return std::make_unique<Handle>(*this, std::move(node), path);
}

int SimulatedDisk::Remove(const std::string& path) {
  if (Ask({Kind::kRemove, path, 0, 0}) != 0) return -1;
  std::lock_guard lock(mutex_);
  std::string name;
  NodePtr node = Find(path);
  if (!node) return -1;
  if (node->type != Type::kFile) return Fail(EISDIR);
  NodePtr above = FindAbove(path, &name);
  Change({{{above, name, nullptr}}});
  return 0;
}

int SimulatedDisk::RemoveDirectory(const std::string& path) {
  if (Ask({Kind::kRemove, path, 0, 0}) != 0) return -1;
  std::lock_guard lock(mutex_);
  std::string name;
  NodePtr node = Find(path);
  if (!node) return -1;
  if (node->type != Type::kDirectory) return Fail(ENOTDIR);
  if (!node->entries.empty()) return Fail(ENOTEMPTY);
  NodePtr above = FindAbove(path, &name);
  if (!above) return -1;
  Change({{{above, name, nullptr}}});
  return 0;
}

int SimulatedDisk::Rename(const std::string& from, const std::string& to) {
  if (Ask({Kind::kRename, from, 0, 0}) != 0) return -1;
  std::lock_guard lock(mutex_);
  NodePtr node = Find(from);
  if (!node) return -1;
  std::string from_name;
  std::string to_name;
  NodePtr source = FindAbove(from, &from_name);
  NodePtr target = FindAbove(to, &to_name);
  if (!source || !target) return -1;
  Change({{{source, from_name, nullptr}, {target, to_name, node}}});
  return 0;
}

int SimulatedDisk::MakeDirectory(const std::string& path) {
  if (Ask({Kind::kMakeDirectory, path, 0, 0}) != 0) return -1;
  std::lock_guard lock(mutex_);
  if (Find(path)) return Fail(EEXIST);
  std::string name;
  NodePtr above = FindAbove(path, &name);
  if (!above) return -1;
  Change({{{above, name, std::make_shared<Node>(Type::kDirectory)}}});
  return 0;
}

int SimulatedDisk::SyncDirectory(const std::string& path) {
  bool fails = Ask({Kind::kSyncDirectory, path, 0, 0}) != 0;
  int error = errno;
  std::lock_guard lock(mutex_);
  ++syncs_;
  NodePtr directory = Find(path);
  if (!directory) return -1;
  if (fails) return Fail(error);
  NameChange::Sync(unsynced_names_, directory);
  return 0;
}

int SimulatedDisk::Stat(const std::string& path, Type* type, uint64_t* size) {
  if (Ask({Kind::kStat, path, 0, 0}) != 0) return -1;
  std::lock_guard lock(mutex_);
  NodePtr node = Find(path);
  if (!node) return -1;
  if (type != nullptr) *type = node->type;
  if (size != nullptr) *size = node->now.size();
  return 0;
}

int SimulatedDisk::List(const std::string& path, std::vector<Entry>* entries) {
  if (Ask({Kind::kList, path, 0, 0}) != 0) return -1;
  std::lock_guard lock(mutex_);
  NodePtr node = Find(path);
  if (!node) return -1;
  if (node->type != Type::kDirectory) return Fail(ENOTDIR);
  for (auto& [name, entry] : node->entries) entries->push_back({name, entry->type});
  return 0;
}

int SimulatedDisk::GetSpace(const std::string& path, Space* space) {
  if (Ask({Kind::kStat, path, 0, 0}) != 0) return -1;
  std::lock_guard lock(mutex_);
  space->total = capacity_;
  space->free = capacity_ - std::min(capacity_, used_pages_ * kPageBytes + others_);
  return 0;
}

void SimulatedDisk::SetCapacity(uint64_t bytes) {
  std::lock_guard lock(mutex_);
  capacity_ = bytes;
}

void SimulatedDisk::SetOthers(uint64_t bytes) {
  std::lock_guard lock(mutex_);
  others_ = bytes;
}

uint64_t SimulatedDisk::used() const {
  std::lock_guard lock(mutex_);
  return used_pages_ * kPageBytes;
}

uint64_t SimulatedDisk::syncs() const {
  std::lock_guard lock(mutex_);
  return syncs_;
}

bool SimulatedDisk::Flip(const std::string& path, uint64_t offset, uint8_t mask) {
  std::lock_guard lock(mutex_);
  NodePtr node = Find(path);
  if (!node || !node->now.Flip(offset, mask)) return false;
  (void)node->durable.Flip(offset, mask);
  return true;
}

std::vector<std::string> SimulatedDisk::Files() const {
  std::lock_guard lock(mutex_);
  std::vector<std::string> files;
  std::vector<std::pair<std::string, NodePtr>> left{{"", root_}};
  while (!left.empty()) {
    auto [path, node] = std::move(left.back());
    left.pop_back();
    if (node->type == Type::kFile) files.push_back(path);
    for (auto& [name, entry] : node->entries) left.emplace_back(path + "/" + name, entry);
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::unique_ptr<SimulatedDisk> SimulatedDisk::Copy() const {
  std::lock_guard lock(mutex_);
  auto copy = std::make_unique<SimulatedDisk>(1, capacity_);
  copy->random_ = random_;
  copy->others_ = others_;
  Copies copies;
  copy->root_ = copies.Of(root_);
  for (auto& change : unsynced_names_) copy->unsynced_names_.push_back(copies.Of(change));
  for (Node* node : copies.made()) copy->Count(*node);
  return copy;
}

std::unique_ptr<SimulatedDisk> SimulatedDisk::CutPower(uint64_t seed) const {
  std::lock_guard lock(mutex_);
  auto after = std::make_unique<SimulatedDisk>(seed, capacity_);
  after->others_ = others_;
  PowerCut cut(seed);
  after->root_ = cut.Directory(root_, unsynced_names_);
  after->root_->names = 1;
  for (Node* node : cut.made()) after->Count(*node);
  return after;
}

}  // namespace tarn::local
