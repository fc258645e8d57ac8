#include "tests/sim/tree.h"

#include <algorithm>
#include <utility>

namespace tarn::sim {

using namespace nfs4;

Tree::Tree() {
  File& root = files_[kRoot];
  root.type = NF4DIR;
  root.mode = 0755;
  root.links = 2;
}

FileNo Tree::Find(const Fh& fh) const {
  auto found = handles_.find(fh);
  return found == handles_.end() ? 0 : found->second;
}

FileNo Tree::Child(FileNo directory, const std::string& name) const {
  const File& file = at(directory);
  auto found = file.entries.find(name);
  return found == file.entries.end() ? 0 : found->second;
}

bool Tree::Learn(FileNo file, const Fh& fh) {
  auto [known, fresh] = handles_.emplace(fh, file);
  if (known->second != file) return false;
  if (fresh && !at(file).fh.empty()) return false;  // it had another handle
  at(file).fh = fh;
  return true;
}

std::string Tree::NameOf(const Fh& fh) const {
  FileNo file = Find(fh);
  return file == 0 ? "?" : "#" + std::to_string(file);
}

bool Tree::LiesIn(FileNo directory, FileNo outer) const {
  for (FileNo up = directory; up != 0; up = at(up).parent) {
    if (up == outer) return true;
  }
  return false;
}

FileNo Tree::Make(FileNo directory, const std::string& name, nfs_ftype4 type, uint32_t mode) {
  FileNo made = next_++;
  File& file = files_[made];
  file.type = type;
  file.mode = mode;
  file.links = type == NF4DIR ? 2 : 1;
  file.parent = type == NF4DIR ? directory : 0;
  at(directory).entries[name] = made;
  if (type == NF4DIR) ++at(directory).links;
  Touch(directory);
  live_.push_back(made);
  return made;
}

void Tree::Link(FileNo file, FileNo directory, const std::string& name) {
  at(directory).entries[name] = file;
  ++at(file).links;
  Touch(file);
  Touch(directory);
}

void Tree::Drop(FileNo number) {
  File& file = at(number);
  if (file.type == NF4DIR) --at(file.parent).links;
  file.links = file.type == NF4DIR ? 0 : file.links - 1;
  file.changed = true;
  if (file.links > 0) return;
  std::erase(live_, number);
  file.life = file.opens > 0 ? Life::kLive : Ended(file);
}

void Tree::Remove(FileNo directory, const std::string& name) {
  FileNo file = Child(directory, name);
  at(directory).entries.erase(name);
  Touch(directory);
  Drop(file);
}

void Tree::Rename(FileNo from, const std::string& name, FileNo to, const std::string& new_name) {
  FileNo file = Child(from, name);
  FileNo replaced = Child(to, new_name);
  if (file == replaced) return;
  if (replaced != 0) Drop(replaced);
  at(from).entries.erase(name);
  at(to).entries[new_name] = file;
  if (IsDirectory(file)) {
    --at(from).links;
    ++at(to).links;
    at(file).parent = to;
  }
  Touch(file);
  Touch(from);
  Touch(to);
}

void Tree::Pin(FileNo file) {
  ++at(file).opens;
  at(file).life = Life::kLive;
  at(file).unsure = false;
}

void Tree::Unpin(FileNo number) {
  File& file = at(number);
  --file.opens;
  if (file.opens > 0 || file.links > 0) return;
  file.life = Ended(file);
  file.closed = true;
}

void Tree::Restart() {
  keeps_nameless_ = true;
  for (auto& [number, file] : files_) {
    if (std::exchange(file.closed, false)) {
      file.life = Life::kUncertain;
      file.unsure = true;
    }
    if (file.opens > 0 && file.links == 0) file.life = Life::kUncertain;
    file.opens = 0;
  }
}

void Tree::MakeUncertainUnsure() {
  for (auto& [number, file] : files_) {
    if (file.life == Life::kUncertain) file.unsure = true;
  }
}

void Tree::EndGrace() {
  keeps_nameless_ = false;
  for (auto& [number, file] : files_) {
    if (file.life == Life::kUncertain) file.life = Life::kGone;
  }
}

Tree Tree::KnowingWhat(const Tree& now) const {
  Tree tree = *this;
  tree.handles_ = now.handles_;
  tree.next_ = now.next_;
  tree.epoch = now.epoch;
  tree.keeps_nameless_ = now.keeps_nameless_;
  for (const auto& [number, file] : now.files_) {
    auto [own, missing] = tree.files_.try_emplace(number, file);
    File& known = own->second;
    if (missing) {
      known.life = Life::kGone;
      known.links = 0;
      known.opens = 0;
      known.closed = false;
      known.entries.clear();
      continue;
    }
    known.fh = file.fh;
    known.fileid = file.fileid;
    known.opens = file.opens;
    known.closed = file.closed && known.links == 0;
    known.unsure = known.unsure || file.unsure;
    if (known.links == 0) known.life = file.life;
  }
  return tree;
}

std::string Tree::CheckAttributes(FileNo number, const nfs_client::Attributes& shown) {
  File& file = at(number);
  auto differs = [](const char* what, uint64_t is, uint64_t should) {
    return std::string(what) + " is " + std::to_string(is) + ", not " + std::to_string(should);
  };
  if (shown.type != file.type) return "it has another type";
  if (shown.mode != file.mode) return differs("mode", shown.mode, file.mode);
  if (shown.numlinks != file.links) return differs("links", shown.numlinks, file.links);
  if (file.type == NF4REG && shown.size != file.content.bytes()) {
    return differs("size", shown.size, file.content.bytes());
  }
  if (file.fileid != 0 && shown.fileid != file.fileid) {
    return differs("fileid", shown.fileid, file.fileid);
  }
  bool changed = file.changed || file.written;
  if (shown.change < file.change || (changed && shown.change == file.change)) {
    return "the change attribute is " + std::to_string(shown.change) + ", was " +
           std::to_string(file.change) + (changed ? ", and it has changed since" : "");
  }
  if (shown.change != file.change && shown.change <= file.change_most) {
    return "the change attribute is " + std::to_string(shown.change) + " again, after " +
           std::to_string(file.change_most) + " and a crash";
  }
  file.fileid = shown.fileid;
  file.change = shown.change;
  file.change_most = std::max(file.change_most, shown.change);
  file.changed = file.written = false;
  file.shown = file.content;
  return "";
}

}  // namespace tarn::sim
