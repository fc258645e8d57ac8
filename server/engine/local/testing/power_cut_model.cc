#include "server/engine/local/testing/power_cut_model.h"

#include <algorithm>
#include <sstream>

namespace tarn::local {

using vfs::FileType;

namespace {

constexpr uint64_t kVersionsMax = 5;
constexpr uint64_t kChunk = 64u << 20;
constexpr const char* kActNames[] = {
    "create",      "mkdir",        "symlink",      "write unstable", "write stable", "commit",
    "resize",      "rename",       "remove",       "link",           "chmod",        "pin",
    "set xattr",   "remove xattr", "clone",        "allocate",       "punch",        "put record",
    "drop record", "make realm",   "forget realm", "delete realm"};

bool Below(const std::string& path, const std::string& directory) {
  return path.size() > directory.size() && path.starts_with(directory) &&
         path[directory.size()] == '/';
}

// Small files, large ones, and some over the border of a chunk.
void PickRange(Step& step, std::mt19937_64& random) {
  switch (random() % 8) {
    case 0:
      step.offset = kChunk - random() % 20'000;
      step.length = 1 + random() % 30'000;
      return;
    case 1:
    case 2:
    case 3:
      step.offset = random() % 12'000;
      step.length = 1 + random() % 5'000;
      return;
    default:
      step.offset = random() % 200'000;
      step.length = 1 + random() % 60'000;
  }
}

}  // namespace

std::string Step::ToText() const {
  std::ostringstream out;
  out << kActNames[static_cast<int>(act)] << " " << path;
  if (!other.empty()) out << " " << other;
  if (length > 0 || offset > 0) out << " at " << offset << " for " << length;
  return out.str();
}

bool Step::Replayable() const {
  switch (act) {
    case Act::kCreate:
    case Act::kMakeDirectory:
    case Act::kSymlink:
    case Act::kRename:
    case Act::kRemove:
    case Act::kLink:
      return true;
    default:
      return false;
  }
}

std::string NameLine(const std::string& path, FileType type, uint32_t mode,
                     const std::string& first, const std::string& target,
                     const std::map<std::string, std::string>& xattrs) {
  std::ostringstream out;
  out << path << " type " << static_cast<int>(type);
  if (type != FileType::kSymlink) out << " mode " << mode;
  if (first != path) out << " as " << first;
  if (!target.empty()) out << " -> " << target;
  for (auto& [name, value] : xattrs) out << " " << name << "=" << value;
  return out.str() + "\n";
}

std::string Model::Text() const {
  std::string text;
  std::map<uint64_t, std::string> first;
  for (auto& [path, id] : names_) {
    const FileModel& file = *files_.at(id);
    text += NameLine(path, file.type, file.mode, first.try_emplace(id, path).first->second,
                     file.target, file.xattrs);
  }
  for (auto& [key, value] : records_) text += "record " + key + " " + value + "\n";
  return text;
}

const FileModel* Model::Find(uint64_t id) const {
  auto found = files_.find(id);
  return found == files_.end() ? nullptr : found->second.get();
}

std::string Model::RealmOf(const std::string& path) const {
  for (const std::string& realm : realms_) {
    if (path == realm || Below(path, realm)) return realm;
  }
  return "";
}

bool Model::Empty(const std::string& directory) const {
  auto next = names_.upper_bound(directory + "/");
  return next == names_.end() || !Below(next->first, directory);
}

// In the top directory, or in one below it.
std::string Model::FreePath(std::mt19937_64& random) const {
  std::string path = "n" + std::to_string(random() % 7);
  std::string above = random() % 2 == 0 ? AnyPath(random, FileType::kDirectory) : "";
  if (!above.empty() && above.find('/') == std::string::npos) path = above + "/" + path;
  return names_.contains(path) ? "" : path;
}

std::string Model::AnyPath(std::mt19937_64& random, FileType type) const {
  std::vector<const std::string*> all;
  for (auto& [path, id] : names_) {
    if (files_.at(id)->type == type) all.push_back(&path);
  }
  return all.empty() ? "" : *all[random() % all.size()];
}

Step Model::Next(std::mt19937_64& random) const {
  static constexpr Act kActs[] = {
      Act::kCreate,        Act::kCreate,        Act::kCreate,      Act::kMakeDirectory,
      Act::kSymlink,       Act::kWriteUnstable, Act::kWriteStable, Act::kWriteUnstable,
      Act::kWriteUnstable, Act::kWriteStable,   Act::kWriteStable, Act::kCommit,
      Act::kCommit,        Act::kResize,        Act::kResize,      Act::kRename,
      Act::kRename,        Act::kRename,        Act::kRemove,      Act::kRemove,
      Act::kLink,          Act::kSetMode,       Act::kPin,         Act::kSetXattr,
      Act::kRemoveXattr,   Act::kClone,         Act::kAllocate,    Act::kPunch,
      Act::kPutRecord,     Act::kDropRecord,    Act::kMakeRealm,   Act::kForgetRealm,
      Act::kDeleteRealm};
  for (;;) {
    auto step = Try(kActs[random() % std::size(kActs)], random);
    if (step) return *step;
  }
}

std::optional<Step> Model::Try(Act act, std::mt19937_64& random) const {
  Step step{act, "", "", 0, 0, static_cast<char>('a' + random() % 26)};
  if (act == Act::kPutRecord || act == Act::kDropRecord) {
    step.path = "r" + std::to_string(random() % 3);
    if (act == Act::kDropRecord && !records_.contains(step.path)) return {};
    return step;
  }
  if (act >= Act::kMakeRealm) return TryRealm(act, random);
  if (act == Act::kCreate || act == Act::kMakeDirectory || act == Act::kSymlink ||
      act == Act::kRename || act == Act::kRemove || act == Act::kLink) {
    return TryNames(act, random);
  }
  return TryData(act, random);
}

std::optional<Step> Model::TryNames(Act act, std::mt19937_64& random) const {
  Step step{act, "", "", 0, 0, static_cast<char>('a' + random() % 26)};
  if (act == Act::kCreate || act == Act::kMakeDirectory || act == Act::kSymlink) {
    step.path = FreePath(random);
    if (step.path.empty()) return {};
    if (act == Act::kMakeDirectory && step.path.find('/') != std::string::npos) return {};
    return step;
  }
  static constexpr FileType kTypes[] = {FileType::kRegular, FileType::kRegular, FileType::kRegular,
                                        FileType::kDirectory, FileType::kSymlink};
  FileType type = kTypes[random() % std::size(kTypes)];
  if (act == Act::kLink) type = FileType::kRegular;
  step.path = AnyPath(random, type);
  if (step.path.empty() || realms_.contains(step.path)) return {};
  if (act == Act::kRemove) {
    if (!Empty(step.path)) return {};
    return step;
  }
  step.other = FreePath(random);
  if (act == Act::kRename && type == FileType::kRegular && random() % 2 == 0) {
    step.other = AnyPath(random, type);
  }
  if (step.other.empty() || Below(step.other, step.path)) return {};
  if (RealmOf(step.path) != RealmOf(step.other)) return {};
  bool deep = step.other.find('/') != std::string::npos;
  if (type == FileType::kDirectory && deep) return {};
  return step;
}

std::optional<Step> Model::TryData(Act act, std::mt19937_64& random) const {
  Step step{act, AnyPath(random, FileType::kRegular),   "", 0,
            0,   static_cast<char>('a' + random() % 26)};
  if (step.path.empty()) return {};
  const FileModel& file = *files_.at(names_.at(step.path));
  bool many = file.versions.size() > kVersionsMax;
  if (act == Act::kWriteUnstable && many) step.act = Act::kCommit;
  PickRange(step, random);
  if (act == Act::kSetXattr || act == Act::kRemoveXattr) {
    step.other = "x" + std::to_string(random() % 2);
    if (act == Act::kRemoveXattr && !file.xattrs.contains(step.other)) return {};
  }
  if (act == Act::kClone) {
    step.other = AnyPath(random, FileType::kRegular);
    const FileModel& target = *files_.at(names_.at(step.other));
    if (&target == &file || file.versions.back().size() == 0) return {};
    step.offset = step.length = 0;  // the whole file
    if (target.versions.back().size() > file.versions.back().size()) return {};
  }
  return step;
}

std::optional<Step> Model::TryRealm(Act act, std::mt19937_64& random) const {
  Step step{act, AnyPath(random, FileType::kDirectory), "", 0, 0, 0};
  if (step.path.empty()) return {};
  if (realms_.contains(step.path) == (act == Act::kMakeRealm)) return {};
  // No file may have names on both sides of the border.
  std::map<uint64_t, bool> inside;
  for (auto& [path, id] : names_) {
    bool in = Below(path, step.path);
    auto [found, first] = inside.try_emplace(id, in);
    if (!first && found->second != in) return {};
  }
  return step;
}

FileModel& Model::Own(const std::string& path) {
  auto& file = files_.at(names_.at(path));
  file = std::make_shared<FileModel>(*file);
  return *file;
}

void Model::Rename(const Step& step) {
  auto target = names_.find(step.other);
  uint64_t id = names_.at(step.path);
  if (target != names_.end() && target->second == id) return;
  names_[step.other] = id;
  names_.erase(step.path);
  std::map<std::string, uint64_t> moved;
  for (auto at = names_.begin(); at != names_.end();) {
    if (Below(at->first, step.path)) {
      moved[step.other + at->first.substr(step.path.size())] = at->second;
      at = names_.erase(at);
    } else {
      ++at;
    }
  }
  names_.merge(moved);
}

void Model::ApplyData(const Step& step) {
  FileModel& file = Own(step.path);
  std::string bytes(step.length, step.byte);
  switch (step.act) {
    case Act::kWriteUnstable:
      file.versions.push_back(file.versions.back());
      file.versions.back().Write(step.offset, bytes);
      return;
    case Act::kWriteStable:
      for (Content& version : file.versions) version.Write(step.offset, bytes);
      return;
    case Act::kCommit:
      file.versions.erase(file.versions.begin(), file.versions.end() - 1);
      return;
    case Act::kResize:
      for (Content& version : file.versions) version.Resize(step.offset);
      return;
    case Act::kSetMode:
      file.mode = 0600 + static_cast<uint32_t>(step.byte % 64);
      return;
    case Act::kSetXattr:
      file.xattrs[step.other] = std::string(1 + step.length % 300, step.byte);
      return;
    case Act::kRemoveXattr:
      file.xattrs.erase(step.other);
      return;
    case Act::kClone:  // the source's own writes become no more durable by it
      Own(step.other).versions = {file.versions.back()};
      return;
    case Act::kAllocate:
    case Act::kPunch: {
      file.versions.erase(file.versions.begin(), file.versions.end() - 1);
      Content& only = file.versions.back();
      uint64_t end = step.offset + step.length;
      if (step.act == Act::kPunch) only.Punch(step.offset, step.length);
      if (step.act == Act::kAllocate && end > only.size()) only.Resize(end);
      return;
    }
    default:
      return;
  }
}

Model Model::After(const Step& step) const {
  Model next = *this;
  auto make = [&](FileType type, uint32_t mode) {
    uint64_t id = next.next_id_++;
    next.names_[step.path] = id;
    next.files_[id] = std::make_shared<FileModel>();
    next.files_[id]->type = type;
    next.files_[id]->mode = mode;
    if (type == FileType::kSymlink) next.files_[id]->target = std::string(20, step.byte);
  };
  switch (step.act) {
    case Act::kCreate:
      make(FileType::kRegular, 0644);
      break;
    case Act::kMakeDirectory:
      make(FileType::kDirectory, 0755);
      break;
    case Act::kSymlink:
      make(FileType::kSymlink, 0777);
      break;
    case Act::kRename:
      next.Rename(step);
      break;
    case Act::kRemove:
      next.names_.erase(step.path);
      break;
    case Act::kLink:
      next.names_[step.other] = names_.at(step.path);
      break;
    case Act::kPutRecord:
      next.records_[step.path] = std::string(40, step.byte);
      break;
    case Act::kDropRecord:
      next.records_.erase(step.path);
      break;
    case Act::kMakeRealm:
      next.realms_.insert(step.path);
      break;
    case Act::kForgetRealm:
      next.realms_.erase(step.path);
      break;
    case Act::kDeleteRealm:
      next.realms_.erase(step.path);
      std::erase_if(next.names_, [&](auto& name) {
        return name.first == step.path || Below(name.first, step.path);
      });
      break;
    default:
      next.ApplyData(step);
  }
  return next;
}

}  // namespace tarn::local
