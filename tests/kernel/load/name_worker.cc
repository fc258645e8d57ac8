#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "tests/kernel/load/content.h"
#include "tests/kernel/load/workers.h"

namespace tarn::load {
namespace {

constexpr size_t kTreeNamesMax = 150;
constexpr int kDepthMax = 4;
constexpr uint64_t kListed = 250;  // names that stay in the directory that is listed
constexpr size_t kComingMax = 60;
constexpr uint64_t kStormCalls = 300;

std::string StableName(uint64_t number) {
  return "stable-" + std::to_string(number);
}

}  // namespace

NameWorker::NameWorker(const Options& options, const std::string& name, uint64_t seed)
    : Worker(options, name, seed),
      directory_(In("c" + std::to_string(options.client) + "-" + name)) {}

void NameWorker::Prepare() {
  MakeDirectory(directory_);
  MakeDirectory(directory_ + "/trees");
  MakeDirectory(directory_ + "/listed");
  for (uint64_t i = 0; i < kListed; ++i) {
    std::string path = directory_ + "/listed/" + StableName(i);
    Must(symlink(StableName(i + 1).c_str(), path.c_str()), "symlink", path);
  }
}

void NameWorker::Step() {
  switch (dice_.Below(8)) {
    case 0:
    case 1:
    case 2:
      return MakeTree();
    case 3:
    case 4:
      return MoveSubtree();
    case 5:
      return RemoveTree();
    case 6:
      return ListWhileChanging();
    default:
      return StatStorm();
  }
}

void NameWorker::MakeTree() {
  if (files_.size() + directories_.size() > kTreeNamesMax) return RemoveTree();
  std::string top = "trees/d" + std::to_string(++number_);
  Fill(top, 1);
}

void NameWorker::Fill(const std::string& directory, int depth) {
  MakeDirectory(directory_ + "/" + directory);
  directories_.insert(directory);
  for (uint64_t i = dice_.Below(4); i > 0; --i) {
    std::string name = directory + "/f" + std::to_string(++number_);
    uint64_t size = dice_.Below(3000);
    std::string path = directory_ + "/" + name;
    int file = Open(path, O_WRONLY | O_CREAT);
    Write(file, Bytes(size, 0, size), 0, path);
    Close(file, path);
    files_[name] = size;
  }
  for (uint64_t i = depth < kDepthMax ? dice_.Below(3) : 0; i > 0; --i) {
    Fill(directory + "/d" + std::to_string(++number_), depth + 1);
  }
}

// A directory gets another name, or another place below "trees", with all that is in it.
void NameWorker::MoveSubtree() {
  if (directories_.empty()) return MakeTree();
  std::string from =
      *std::next(directories_.begin(), static_cast<ptrdiff_t>(dice_.Below(directories_.size())));
  std::string to = (dice_.OneIn(2) ? "trees" : from.substr(0, from.rfind('/'))) + "/d" +
                   std::to_string(++number_);
  Must(rename((directory_ + "/" + from).c_str(), (directory_ + "/" + to).c_str()), "rename",
       directory_ + "/" + from + " to " + to);
  auto moved = [&](const std::string& name) { return to + name.substr(from.size()); };
  auto inside = [&](const std::string& name) {
    return name == from || name.starts_with(from + "/");
  };
  std::set<std::string> directories;
  for (const std::string& name : directories_)
    directories.insert(inside(name) ? moved(name) : name);
  std::map<std::string, uint64_t> files;
  for (const auto& [name, size] : files_) files[inside(name) ? moved(name) : name] = size;
  directories_.swap(directories);
  files_.swap(files);
}

void NameWorker::RemoveTree() {
  if (directories_.empty()) return;
  std::string top =
      *std::next(directories_.begin(), static_cast<ptrdiff_t>(dice_.Below(directories_.size())));
  std::string full = directory_ + "/" + top;
  if (May(rmdir(full.c_str()), {ENOTEMPTY}, "rmdir", full) == 0) {
    directories_.erase(top);
    return;
  }
  VerifyTree(top);
  std::erase_if(files_, [&](const auto& file) {
    if (!file.first.starts_with(top + "/")) return false;
    Must(unlink((directory_ + "/" + file.first).c_str()), "unlink", directory_ + "/" + file.first);
    return true;
  });
  std::vector<std::string> below;
  for (const std::string& name : directories_) {
    if (name == top || name.starts_with(top + "/")) below.push_back(name);
  }
  for (auto name = below.rbegin(); name != below.rend(); ++name) {
    Must(rmdir((directory_ + "/" + *name).c_str()), "rmdir", directory_ + "/" + *name);
    directories_.erase(*name);
  }
}

// What stays is seen exactly once, whatever else comes and goes meanwhile; nothing is seen twice.
void NameWorker::ListWhileChanging() {
  std::string path = directory_ + "/listed";
  DIR* stream = opendir(path.c_str());
  Must(stream == nullptr ? -1 : 0, "opendir", path);
  std::set<std::string> seen;
  uint64_t stable = 0;
  while (true) {
    errno = 0;
    const dirent* entry = readdir(stream);
    if (entry == nullptr) break;
    std::string name = entry->d_name;
    if (name.starts_with("stable-")) ++stable;
    Check(seen.insert(name).second, "listed twice: " + name, path);
    if (!dice_.OneIn(40)) continue;
    if (coming_and_going_.size() < kComingMax && dice_.OneIn(2)) {
      std::string fresh = "coming-" + std::to_string(++number_);
      Must(mkdir((path + "/" + fresh).c_str(), 0755), "mkdir", path + "/" + fresh);
      coming_and_going_.insert(fresh);
    } else if (!coming_and_going_.empty()) {
      auto going = std::next(coming_and_going_.begin(),
                             static_cast<ptrdiff_t>(dice_.Below(coming_and_going_.size())));
      Must(rmdir((path + "/" + *going).c_str()), "rmdir", path + "/" + *going);
      coming_and_going_.erase(going);
    }
  }
  Must(errno == 0 ? 0 : -1, "readdir", path);
  Must(closedir(stream), "closedir", path);
  Check(stable == kListed, std::to_string(stable) + " names that stay were listed", path);
}

void NameWorker::StatStorm() {
  for (uint64_t i = 0; i < kStormCalls; ++i) {
    struct stat status {};
    if (files_.empty() || dice_.OneIn(2)) {
      uint64_t number = dice_.Below(kListed);
      std::string path = directory_ + "/listed/" + StableName(number);
      Must(lstat(path.c_str(), &status), "lstat", path);
      Check(S_ISLNK(status.st_mode), "no symlink any more", path);
      std::string target(100, '\0');
      target.resize(Must(readlink(path.c_str(), target.data(), target.size()), "readlink", path));
      Check(target == StableName(number + 1), "another target", path);
      continue;
    }
    auto file = std::next(files_.begin(), static_cast<ptrdiff_t>(dice_.Below(files_.size())));
    std::string path = directory_ + "/" + file->first;
    Must(stat(path.c_str(), &status), "stat", path);
    Check(static_cast<uint64_t>(status.st_size) == file->second, "another size", path);
    struct statx more {};
    if (dice_.OneIn(3)) {
      Must(statx(AT_FDCWD, path.c_str(), AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &more), "statx",
           path);
      Check(more.stx_size == file->second, "another size from the server", path);
    }
    Must(access(path.c_str(), R_OK), "access", path);
  }
}

void NameWorker::VerifyTree(const std::string& directory) {
  std::string full = directory_ + "/" + directory;
  std::set<std::string> wanted;
  auto note = [&](const std::string& name) {
    if (name.starts_with(directory + "/") && name.find('/', directory.size() + 1) == name.npos) {
      wanted.insert(name.substr(directory.size() + 1));
    }
  };
  for (const auto& [name, size] : files_) note(name);
  for (const std::string& name : directories_) note(name);
  std::vector<std::string> names = List(full);
  std::set<std::string> found(names.begin(), names.end());
  for (const std::string& name : wanted)
    Check(found.contains(name), "is not listed", full + "/" + name);
  for (const std::string& name : found) {
    Check(wanted.contains(name), "is listed, though it was removed or never made",
          full + "/" + name);
  }
  for (const std::string& name : wanted) {
    std::string below = directory + "/" + name;
    auto file = files_.find(below);
    if (file == files_.end()) {
      VerifyTree(below);
      continue;
    }
    std::string path = directory_ + "/" + below;
    int descriptor = Open(path, O_RDONLY);
    std::string difference =
        Difference(Bytes(file->second, 0, file->second), ReadCold(descriptor, path));
    Check(difference.empty(), difference, path);
    Close(descriptor, path);
  }
}

void NameWorker::Verify() {
  VerifyTree("trees");
  std::vector<std::string> names = List(directory_ + "/listed");
  Check(names.size() == kListed + coming_and_going_.size(), "other names than were made",
        directory_ + "/listed");
  for (const std::string& name : names) {
    Check(name.starts_with("stable-") || coming_and_going_.contains(name),
          "is listed, though it was removed", directory_ + "/listed/" + name);
  }
}

}  // namespace tarn::load
