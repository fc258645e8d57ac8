#include "server/engine/local/testing/power_cut_client.h"

#include <algorithm>

namespace tarn::local {

using namespace vfs;  // NOLINT(google-build-using-namespace)

namespace {

const Caller kRoot{.uid = 0, .gid = 0, .gids = {}, .replay = {}};

std::string ChangeText(const DirectoryChange& change) {
  return std::to_string(change.before) + ">" + std::to_string(change.after);
}

// Until it is built everywhere.
bool Unsupported(const Error& error) {
  return error.code() == Code::kNotSupported;
}

}  // namespace

struct Client::Seen {
  std::map<std::string, Attributes> names;
  std::string text;
};

Client::Client(int number, uint64_t seed) : name_("w" + std::to_string(number)), random_(seed) {}

Result<void> Client::Prepare(Engine& engine) {
  TRY(FileSystem * fs, engine.GetFileSystem(1));
  if (name_ == "w1") {
    TRY(auto realm, fs->EnsureRealm("/" + name_, CreationInfo{}));
    return fs->SetQuota(realm, {uint64_t{1} << 40, 1'000'000});
  }
  TRY(FileId root, fs->RealmRoot(kRootRealm));
  CreateOptions options;
  options.type = FileType::kDirectory;
  TRY(fs->Create(kRoot, root, name_, options));
  return Ok();
}

Caller Client::CallerOf(size_t number) const {
  Caller caller = kRoot;
  caller.replay = ReplayTag{name_, number + 1};
  return caller;
}

Result<FileId> Client::Find(FileSystem& fs, const std::string& path) const {
  TRY(FileId at, fs.RealmRoot(kRootRealm));
  std::string left = name_ + (path.empty() ? "" : "/" + path);
  while (!left.empty()) {
    size_t end = std::min(left.find('/'), left.size());
    TRY(auto found, fs.Lookup(kRoot, at, left.substr(0, end)));
    at = found.id;
    left.erase(0, end + 1);
  }
  return at;
}

Result<FileId> Client::Above(FileSystem& fs, const std::string& path, std::string* name) const {
  size_t slash = path.rfind('/');
  *name = slash == std::string::npos ? path : path.substr(slash + 1);
  return Find(fs, slash == std::string::npos ? "" : path.substr(0, slash));
}

// `states_` holds all steps before they are counted as begun, so Check may look at any of those.
Result<void> Client::Work(Engine& engine, int steps) {
  states_.reserve(static_cast<size_t>(steps) + 1);
  for (int i = 0; i < steps; ++i) {
    Step step = states_.back().Next(random_);
    steps_.push_back(step);
    states_.push_back(states_.back().After(step));
    ++begun_;
    auto answer = Perform(engine, step, static_cast<size_t>(i));
    if (!answer && Unsupported(answer.error())) {
      states_.back() = states_[states_.size() - 2];
      answer = std::string("unsupported");
    }
    if (!answer) {
      return Error(answer.code(), step.ToText() + ": " + answer.error().message());
    }
    answers_.push_back(*answer);
    ++answered_;
  }
  return Ok();
}

Result<std::string> Client::Perform(Engine& engine, const Step& step, size_t number) {
  TRY(FileSystem * fs, engine.GetFileSystem(1));
  if (step.act == Act::kPutRecord) {
    TRY(engine.records().Put(name_ + step.path, std::string(40, step.byte)));
    return std::string();
  }
  if (step.act == Act::kDropRecord) {
    TRY(engine.records().Delete(name_ + step.path));
    return std::string();
  }
  if (step.act >= Act::kMakeRealm) return PerformRealm(*fs, step);
  Caller caller = CallerOf(number);
  if (step.Replayable()) return PerformNames(*fs, step, caller);
  return PerformData(*fs, step, kRoot);
}

Result<std::string> Client::PerformRealm(FileSystem& fs, const Step& step) {
  TRY(auto realm, fs.EnsureRealm("/" + name_ + "/" + step.path, std::nullopt));
  if (step.act == Act::kMakeRealm) TRY(fs.SetQuota(realm, {uint64_t{1} << 40, 0}));
  if (step.act == Act::kForgetRealm) TRY(fs.RemoveRealm(realm, false));
  if (step.act == Act::kDeleteRealm) TRY(fs.RemoveRealm(realm, true));
  return std::string();
}

Result<std::string> Client::PerformNames(FileSystem& fs, const Step& step, const Caller& caller) {
  std::string name;
  TRY(FileId above, Above(fs, step.path, &name));
  std::string other;
  switch (step.act) {
    case Act::kRemove: {
      TRY(auto change, fs.Remove(caller, above, name));
      return ChangeText(change);
    }
    case Act::kLink: {
      TRY(FileId file, Find(fs, step.path));
      TRY(FileId target, Above(fs, step.other, &other));
      TRY(auto change, fs.Link(caller, file, target, other));
      return ChangeText(change);
    }
    case Act::kRename: {
      TRY(FileId target, Above(fs, step.other, &other));
      TRY(auto change, fs.Rename(caller, above, name, target, other));
      return ChangeText(change.source) + " " + ChangeText(change.target);
    }
    default: {
      CreateOptions options;
      std::string link(20, step.byte);
      if (step.act == Act::kMakeDirectory) options.type = FileType::kDirectory;
      if (step.act == Act::kSymlink) {
        options.type = FileType::kSymlink;
        options.symlink_target = link;
      }
      TRY(auto made, fs.Create(caller, above, name, options));
      return std::to_string(made.attributes.id.inode) + " " + ChangeText(made.directory);
    }
  }
}

Result<void> Client::Write(FileSystem& fs, FileId file, const Step& step) {
  std::string bytes(step.length, step.byte);
  bool stable = step.act == Act::kWriteStable;
  for (size_t done = 0; done < bytes.size();) {
    TRY(auto written, fs.Write(kRoot, file, false, step.offset + done,
                               std::as_bytes(std::span(bytes).subspan(done)),
                               stable ? Stability::kFileSync : Stability::kUnstable));
    done += written.bytes;
  }
  return Ok();
}

Result<std::string> Client::PerformData(FileSystem& fs, const Step& step, const Caller& caller) {
  TRY(FileId file, Find(fs, step.path));
  AttributeChange change;
  switch (step.act) {
    case Act::kCommit:
      TRY(fs.Commit(caller, file, 0, 0));
      break;
    case Act::kResize:
      change.size = step.offset;
      TRY(fs.SetAttributes(caller, file, change));
      break;
    case Act::kSetMode:
      change.mode = 0600 + static_cast<uint32_t>(step.byte % 64);
      TRY(fs.SetAttributes(caller, file, change));
      break;
    case Act::kPin:
      TRY(fs.Pin(file));
      break;
    case Act::kSetXattr:
      TRY(fs.SetXattr(caller, file, step.other, std::string(1 + step.length % 300, step.byte),
                      XattrMode::kEither));
      break;
    case Act::kRemoveXattr:
      TRY(fs.RemoveXattr(caller, file, step.other));
      break;
    case Act::kClone: {
      TRY(FileId target, Find(fs, step.other));
      TRY(fs.Clone(caller, {file, false, 0}, {target, false, 0}, 0));
      break;
    }
    case Act::kAllocate:
      TRY(fs.Allocate(caller, file, false, step.offset, step.length));
      break;
    case Act::kPunch:
      TRY(fs.Deallocate(caller, file, false, step.offset, step.length));
      break;
    default:
      TRY(Write(fs, file, step));
  }
  return std::string();
}

Result<void> Client::Walk(FileSystem& fs, FileId directory, const std::string& prefix, Seen& seen) {
  std::vector<std::pair<std::string, Attributes>> below;
  TRY(fs.ReadDirectory(kRoot, directory, 0, true, [&](const DirectoryEntry& entry) {
    std::string path = prefix + std::string(entry.name);
    seen.names[path] = entry.attributes;
    if (entry.attributes.type == FileType::kDirectory) below.emplace_back(path, entry.attributes);
    return true;
  }));
  for (auto& [path, attributes] : below) TRY(Walk(fs, attributes.id, path + "/", seen));
  return Ok();
}

Result<std::string> Client::TextOf(Engine& engine, Seen& seen) {
  TRY(FileSystem * fs, engine.GetFileSystem(1));
  TRY(FileId top, Find(*fs, ""));
  TRY(Walk(*fs, top, "", seen));
  std::string text;
  std::map<FileId, std::string> first;
  for (auto& [path, found] : seen.names) {
    std::string target;
    if (found.type == FileType::kSymlink) {
      TRY(target, fs->ReadSymlink(kRoot, found.id));
    }
    std::map<std::string, std::string> xattrs;
    if (found.type == FileType::kRegular) {
      std::vector<std::string> names;
      auto listed = fs->ListXattrs(kRoot, found.id, 0, [&](uint64_t, std::string_view name) {
        names.emplace_back(name);
        return true;
      });
      if (!listed && !Unsupported(listed.error())) return listed.error();
      for (const std::string& name : names) {
        TRY(xattrs[name], fs->GetXattr(kRoot, found.id, name));
      }
    }
    text += NameLine(path, found.type, found.mode, first.try_emplace(found.id, path).first->second,
                     target, xattrs);
  }
  TRY(engine.records().Scan(name_, [&](std::string_view key, std::string_view value) {
    text += "record " + std::string(key.substr(name_.size())) + " " + std::string(value) + "\n";
    return true;
  }));
  return text;
}

std::string Client::CheckBytes(FileSystem& fs, FileId file,
                               const std::vector<const Content*>& versions) {
  auto found = fs.GetAttributes(kRoot, file);
  if (!found) return found.error().ToString();
  bool size_known = std::any_of(versions.begin(), versions.end(),
                                [&](auto* version) { return version->size() == found->size; });
  if (!size_known) return "its size is " + std::to_string(found->size);
  std::set<uint64_t> pages{0};
  for (const Content* version : versions) {
    for (uint64_t page : version->Pages()) pages.insert(page);
  }
  if (found->size > 0) pages.insert((found->size - 1) / kPageBytes);
  std::string got(kPageBytes, 0);
  std::vector<std::string> may(versions.size());
  for (uint64_t page : pages) {
    uint64_t offset = page * kPageBytes;
    auto read = fs.Read(kRoot, file, false, offset, std::as_writable_bytes(std::span(got)));
    if (!read) return "at " + std::to_string(offset) + ": " + read.error().ToString();
    for (size_t i = 0; i < versions.size(); ++i) {
      may[i].assign(kPageBytes, 0);
      (void)versions[i]->Read(offset, std::as_writable_bytes(std::span(may[i])));
    }
    for (size_t at = 0; at < read->bytes; ++at) {
      bool known = std::any_of(may.begin(), may.end(), [&](auto& m) { return m[at] == got[at]; });
      if (!known) {
        return "byte " + std::to_string(offset + at) + " is " +
               std::to_string(static_cast<int>(got[at])) + " and was never so";
      }
    }
  }
  return "";
}

std::string Client::LastSteps(size_t until) const {
  constexpr size_t kShown = 25;
  std::string text;
  for (size_t i = until > kShown ? until - kShown : 0; i < until; ++i) {
    text += "  " + std::to_string(i) + " " + steps_[i].ToText() + "\n";
  }
  return text;
}

// All regular files, by the names of a state; each may be as any of the states in `range` has it.
std::string Client::CheckFiles(FileSystem& fs, const Seen& seen, size_t state,
                               std::pair<size_t, size_t> range) {
  for (auto& [path, id] : states_[state].names()) {
    if (states_[state].file(id).type != FileType::kRegular) continue;
    std::vector<const Content*> versions;
    for (size_t at = range.first; at <= range.second; ++at) {
      const FileModel* file = states_[at].Find(id);
      if (file == nullptr) continue;
      for (const Content& version : file->versions) versions.push_back(&version);
    }
    std::string wrong = CheckBytes(fs, seen.names.at(path).id, versions);
    if (!wrong.empty()) return path + ": " + wrong;
  }
  return "";
}

std::vector<std::string> Client::Check(Engine& engine, size_t answered, size_t begun) {
  std::vector<std::string> problems;
  std::string where = name_ + " after step " + std::to_string(answered) +
                      (begun > answered ? ", in " + steps_[answered].ToText() : "") + ": ";
  auto say = [&](const std::string& what) { problems.push_back(where + what); };
  auto fs = engine.GetFileSystem(1);
  if (!fs) return say("the file system is gone"), problems;
  Seen seen;
  auto text = TextOf(engine, seen);
  if (!text) return say(text.error().ToString()), problems;
  // A cut by another thread may see some steps go by, and some states have the same names.
  std::optional<size_t> found;
  std::string wrong;
  for (size_t at = begun + 1; at-- > answered && (!found || !wrong.empty());) {
    if (*text != states_[at].Text()) continue;
    found = at;
    wrong = CheckFiles(**fs, seen, at, {answered, begun});
  }
  size_t state = found.value_or(answered);
  if (!found) {
    say("names differ, expected:\n" + states_[state].Text() + "found:\n" + *text);
    return problems;
  }
  if (!wrong.empty()) say(wrong + "; the last steps were:\n" + LastSteps(begun));
  bool known = begun == answered || states_[answered].Text() != states_[begun].Text();
  if (begun > answered + 1 || !known) return problems;
  if (state == 0 || !steps_[state - 1].Replayable()) return problems;
  // The client lost the answer, and asks again.
  const Step& last = steps_[state - 1];
  auto answer = Perform(engine, last, state - 1);
  if (!answer) {
    say("again " + last.ToText() + ": " + answer.error().ToString());
  } else if (*answer != answers_[state - 1]) {
    say("again " + last.ToText() + ": " + *answer + " and not " + answers_[state - 1]);
  }
  Seen after;
  auto text_after = TextOf(engine, after);
  if (!text_after || *text_after != *text)
    say("names differ after " + last.ToText() + " came again");
  return problems;
}

Result<void> Client::StillWorks(Engine& engine) {
  TRY(FileSystem * fs, engine.GetFileSystem(1));
  TRY(FileId root, fs->RealmRoot(kRootRealm));
  TRY(auto made, fs->Create(kRoot, root, "afterwards", {}));
  Step step{Act::kWriteStable, "", "", 0, 30'000, 'z'};
  TRY(Write(*fs, made.attributes.id, step));
  Content expected;
  expected.Write(0, std::string(step.length, step.byte));
  std::string wrong = CheckBytes(*fs, made.attributes.id, {&expected});
  if (!wrong.empty()) return Error(Code::kCorrupt, wrong);
  return Ok();
}

}  // namespace tarn::local
