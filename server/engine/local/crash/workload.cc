#include "server/engine/local/crash/workload.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>

namespace tarn::local {

using namespace vfs;  // NOLINT(google-build-using-namespace)

namespace {

constexpr uint32_t kNames = 10;
const Caller kRoot{.uid = 0, .gid = 0, .gids = {}, .replay = {}};

std::string NameOf(uint32_t number) {
  return "file" + std::to_string(number);
}

}  // namespace

Op Op::Random(std::mt19937_64& random) {
  Op op;
  // Writes are what most runs are about.
  static constexpr OpKind kKinds[] = {OpKind::kCreate,         OpKind::kCreate, OpKind::kWrite,
                                      OpKind::kWriteAndCommit, OpKind::kWrite,  OpKind::kCut,
                                      OpKind::kWriteAndCommit, OpKind::kRename, OpKind::kRename,
                                      OpKind::kRemove,         OpKind::kLink,   OpKind::kClone,
                                      OpKind::kClone,          OpKind::kPunch,  OpKind::kAllocate};
  op.kind = kKinds[random() % std::size(kKinds)];
  op.name = static_cast<uint32_t>(random() % kNames);
  op.other = static_cast<uint32_t>(random() % kNames);
  bool small = random() % 2 == 0;
  op.offset = random() % (small ? 12'000 : 300'000);
  op.length = 1 + random() % (small ? 3'000 : 70'000);
  op.byte = static_cast<char>('a' + random() % 26);
  return op;
}

std::string Op::ToText() const {
  std::ostringstream out;
  out << static_cast<int>(kind) << ' ' << name << ' ' << other << ' ' << offset << ' ' << length
      << ' ' << byte;
  return out.str();
}

std::optional<Op> Op::FromText(const std::string& text) {
  std::istringstream in(text);
  Op op;
  int kind = 0;
  if (!(in >> kind >> op.name >> op.other >> op.offset >> op.length >> op.byte)) return {};
  op.kind = static_cast<OpKind>(kind);
  return op;
}

void Model::Apply(const Op& op) {
  auto file = names_.find(op.name);
  if (op.kind == OpKind::kCreate) {
    names_.emplace(op.name, std::make_shared<std::string>());
    return;
  }
  if (file == names_.end()) return;
  Content content = file->second;
  switch (op.kind) {
    case OpKind::kWrite:
    case OpKind::kWriteAndCommit:
      if (content->size() < op.offset + op.length) content->resize(op.offset + op.length);
      content->replace(op.offset, op.length, op.length, op.byte);
      break;
    case OpKind::kCut:
      content->resize(op.offset);
      break;
    case OpKind::kClone: {
      auto target = names_.find(op.other);
      if (target != names_.end()) target->second->replace(0, content->size(), *content);
      break;
    }
    case OpKind::kPunch:
      if (op.offset >= content->size()) break;
      std::fill_n(content->begin() + static_cast<ptrdiff_t>(op.offset),
                  std::min<size_t>(op.length, content->size() - op.offset), '\0');
      break;
    case OpKind::kAllocate:
      content->resize(std::max<size_t>(content->size(), op.offset + op.length));
      break;
    case OpKind::kRemove:
      names_.erase(file);
      break;
    case OpKind::kRename: {
      auto target = names_.find(op.other);
      if (target != names_.end() && target->second == content) break;  // two names of one file
      names_.erase(file);
      names_[op.other] = content;
      break;
    }
    case OpKind::kLink:
      names_.emplace(op.other, content);
      break;
    case OpKind::kCreate:
      break;
  }
}

Model Model::Copy() const {
  Model copy;
  std::map<const std::string*, Content> copies;
  for (auto& [name, content] : names_) {
    Content& own = copies[content.get()];
    if (!own) own = std::make_shared<std::string>(*content);
    copy.names_[name] = own;
  }
  return copy;
}

Result<bool> Perform(FileSystem& fs, FileId directory, const Op& op) {
  std::string name = NameOf(op.name);
  std::string other = NameOf(op.other);
  if (op.kind == OpKind::kCreate) return fs.Create(kRoot, directory, name, {}).ok();
  if (op.kind == OpKind::kRemove) return fs.Remove(kRoot, directory, name).ok();
  if (op.kind == OpKind::kRename) return fs.Rename(kRoot, directory, name, directory, other).ok();
  auto file = fs.Lookup(kRoot, directory, name);
  if (!file) return false;
  if (op.kind == OpKind::kLink) return fs.Link(kRoot, file->id, directory, other).ok();
  if (op.kind == OpKind::kCut) {
    AttributeChange cut;
    cut.size = op.offset;
    return fs.SetAttributes(kRoot, file->id, cut).ok();
  }
  if (op.kind == OpKind::kPunch) {
    return fs.Deallocate(kRoot, file->id, false, op.offset, op.length).ok();
  }
  if (op.kind == OpKind::kAllocate) {
    return fs.Allocate(kRoot, file->id, false, op.offset, op.length).ok();
  }
  if (op.kind == OpKind::kClone) {
    auto target = fs.Lookup(kRoot, directory, other);
    if (!target) return false;
    return fs.Clone(kRoot, {.file = file->id}, {.file = target->id}, 0).ok();
  }
  std::string data(op.length, op.byte);
  bool stable = op.kind == OpKind::kWrite;
  for (size_t done = 0; done < data.size();) {
    TRY(auto written, fs.Write(kRoot, file->id, false, op.offset + done,
                               std::as_bytes(std::span(data).subspan(done)),
                               stable ? Stability::kFileSync : Stability::kUnstable));
    done += written.bytes;
  }
  if (!stable) TRY(fs.Commit(kRoot, file->id, 0, 0));
  return true;
}

Result<void> RunWorkload(FileSystem& fs, FileId directory, uint64_t seed, const std::string& log,
                         uint64_t limit) {
  int fd = ::open(log.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return Error(Code::kIo, "cannot open " + log);
  auto line = [fd](const std::string& text) {
    std::string full = text + "\n";
    return ::write(fd, full.data(), full.size()) == static_cast<ssize_t>(full.size());
  };
  std::mt19937_64 random(seed);
  for (uint64_t i = 0; i < limit; ++i) {
    Op op = Op::Random(random);
    line("B " + op.ToText());
    auto done = Perform(fs, directory, op);
    if (!done) {
      ::close(fd);
      return done.error();
    }
    line(*done ? "D ok" : "D no");
  }
  ::close(fd);
  return Ok();
}

LoggedRun ReadLog(const std::string& path) {
  LoggedRun run;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("B ")) {
      run.unfinished = Op::FromText(line.substr(2));
      continue;
    }
    if (line == "D ok" && run.unfinished) run.acknowledged.Apply(*run.unfinished);
    run.unfinished.reset();
    ++run.operations;
  }
  return run;
}

namespace {

std::map<uint32_t, std::string> ReadAll(FileSystem& fs, FileId directory,
                                        std::vector<std::string>& problems) {
  std::map<uint32_t, std::string> found;
  auto end = fs.ReadDirectory(kRoot, directory, 0, true, [&](const DirectoryEntry& entry) {
    std::string bytes(entry.attributes.size, '?');
    auto read =
        fs.Read(kRoot, entry.attributes.id, false, 0, std::as_writable_bytes(std::span(bytes)));
    if (!read || read->bytes != bytes.size()) {
      problems.push_back(std::string(entry.name) + " cannot be read");
    }
    found[static_cast<uint32_t>(std::stoul(std::string(entry.name.substr(4))))] = bytes;
    return true;
  });
  if (!end) problems.push_back("the directory cannot be read: " + end.error().ToString());
  return found;
}

// The name whose content differs, or nothing when the directory is as the model says. What the
// unfinished operation wrote to may hold anything.
std::optional<std::string> Difference(const std::map<uint32_t, std::string>& found,
                                      const Model& model, const Model::Content& any) {
  for (auto& [name, content] : model.names()) {
    auto at = found.find(name);
    if (at == found.end()) return NameOf(name) + " is not there";
    if (content != any && at->second != *content) {
      size_t differs = 0;
      while (differs < content->size() && differs < at->second.size() &&
             at->second[differs] == (*content)[differs]) {
        ++differs;
      }
      return NameOf(name) + " has " + std::to_string(at->second.size()) + " bytes, expected " +
             std::to_string(content->size()) + ", and differs from byte " + std::to_string(differs);
    }
  }
  if (found.size() != model.names().size()) return "there are names that were not made";
  return {};
}

}  // namespace

std::vector<std::string> Verify(FileSystem& fs, FileId directory, const LoggedRun& run) {
  std::vector<std::string> problems;
  auto found = ReadAll(fs, directory, problems);
  Model::Content any;
  Model after = run.acknowledged.Copy();
  if (run.unfinished) {
    const Op& op = *run.unfinished;
    bool writes = op.kind == OpKind::kWrite || op.kind == OpKind::kWriteAndCommit ||
                  op.kind == OpKind::kCut || op.kind == OpKind::kPunch;
    auto file = run.acknowledged.names().find(op.name);
    if (writes && file != run.acknowledged.names().end()) any = file->second;
    after.Apply(op);
  }
  auto before = Difference(found, run.acknowledged, any);
  if (before && (!run.unfinished || Difference(found, after, nullptr))) {
    problems.push_back(
        *before + (run.unfinished ? "; unfinished: " + run.unfinished->ToText() : std::string()));
  }
  return problems;
}

}  // namespace tarn::local
