#include "server/engine/local/testing/simulated_node.h"

#include <algorithm>
#include <set>

namespace tarn::local {

void FileChange::Apply(Content& content) const {
  switch (kind) {
    case Kind::kWrite:
      return content.Write(offset, bytes);
    case Kind::kResize:
      return content.Resize(offset);
    case Kind::kAllocate:
      return content.Allocate(offset, length);
    case Kind::kPunch:
      return content.Punch(offset, length);
  }
}

void FileChange::ApplySome(Content& content, std::mt19937_64& random) const {
  if (kind != Kind::kWrite) {
    if (random() % 2 == 0) Apply(content);
    return;
  }
  uint64_t sector = random() % 2 == 0 ? 512 : 4096;
  bool ordered = random() % 2 == 0;  // a first part survives; else any sectors
  uint64_t kept = random() % (bytes.size() / sector + 2);
  std::string_view left = bytes;
  for (uint64_t at = offset, number = 0; !left.empty(); ++number) {
    size_t step = std::min<uint64_t>(left.size(), sector - at % sector);
    bool keep = ordered ? number < kept : random() % 2 == 0;
    if (keep) content.WriteBehind(at, left.substr(0, step));
    left.remove_prefix(step);
    at += step;
  }
  uint64_t end = offset + bytes.size();
  if (end > content.size() && random() % 2 == 0) content.SetSize(end);
}

void SimulatedDisk::Node::Do(FileChange change) {
  change.Apply(now);
  unsynced.push_back(std::move(change));
  if (unsynced.size() <= kUnsyncedMax) return;
  auto half = unsynced.begin() + kUnsyncedMax / 2;
  std::for_each(unsynced.begin(), half, [this](auto& older) { older.Apply(durable); });
  unsynced.erase(unsynced.begin(), half);
}

void SimulatedDisk::Node::Sync() {
  for (const FileChange& change : unsynced) change.Apply(durable);
  unsynced.clear();
}

void SimulatedDisk::Node::LoseSome(std::mt19937_64& random) {
  for (const FileChange& change : unsynced) change.ApplySome(durable, random);
  durable.Trim();
  unsynced.clear();
  // The pages may stay in memory, clean, or be read again; the size is known there all the same.
  uint64_t size = now.size();
  if (random() % 2 == 0) now = durable;
  if (now.size() != size) now.SetSize(size);
}

void SimulatedDisk::NameChange::MakeDurable() const {
  for (auto& edit : edits) {
    if (edit.node) {
      edit.directory->durable_entries[edit.name] = edit.node;
    } else {
      edit.directory->durable_entries.erase(edit.name);
    }
  }
}

void SimulatedDisk::NameChange::Sync(std::vector<NameChange>& changes, const NodePtr& directory) {
  // A rename to or from it takes with it what came before in the other directory.
  std::set<const Node*> concerned{directory.get()};
  std::vector<bool> durable(changes.size());
  for (bool more = true; more;) {
    more = false;
    for (size_t i = changes.size(); i-- > 0;) {
      if (durable[i]) continue;
      bool touches = std::any_of(changes[i].edits.begin(), changes[i].edits.end(), [&](auto& edit) {
        return concerned.contains(edit.directory.get());
      });
      if (!touches) continue;
      durable[i] = more = true;
      for (auto& edit : changes[i].edits) concerned.insert(edit.directory.get());
    }
  }
  std::vector<NameChange> left;
  for (size_t i = 0; i < changes.size(); ++i) {
    if (!durable[i]) {
      left.push_back(std::move(changes[i]));
      continue;
    }
    changes[i].MakeDurable();
  }
  changes = std::move(left);
}

SimulatedDisk::NodePtr SimulatedDisk::Copies::Of(const NodePtr& node) {
  if (!node) return nullptr;
  if (auto found = copies_.find(node.get()); found != copies_.end()) return found->second;
  auto copy = std::make_shared<Node>(node->type);
  copies_[node.get()] = copy;
  made_.push_back(copy.get());
  copy->now = node->now;
  copy->durable = node->durable;
  copy->unsynced = node->unsynced;
  copy->names = node->names;
  for (auto& [name, entry] : node->entries) copy->entries[name] = Of(entry);
  for (auto& [name, entry] : node->durable_entries) copy->durable_entries[name] = Of(entry);
  return copy;
}

SimulatedDisk::NameChange SimulatedDisk::Copies::Of(const NameChange& change) {
  NameChange copy;
  for (auto& edit : change.edits) {
    copy.edits.push_back({Of(edit.directory), edit.name, Of(edit.node)});
  }
  return copy;
}

SimulatedDisk::PowerCut::PowerCut(uint64_t seed)
    : seed_(seed * 0x9e3779b97f4a7c15 + 1), random_(seed_) {
  static constexpr Way kWays[] = {Way::kNothing, Way::kAll,  Way::kOlder, Way::kSome,
                                  Way::kSome,    Way::kTorn, Way::kTorn,  Way::kTorn};
  way_ = kWays[random_() % std::size(kWays)];
}

void SimulatedDisk::PowerCut::DecideFor(const std::string& name) {
  random_.seed(seed_ ^ std::hash<std::string>()(name));
}

bool SimulatedDisk::PowerCut::Survives() {
  switch (way_) {
    case Way::kNothing:
      return false;
    case Way::kAll:
    case Way::kOlder:
      return true;
    case Way::kSome:
    case Way::kTorn:
      return random_() % 2 == 0;
  }
  return false;
}

SimulatedDisk::NodePtr SimulatedDisk::PowerCut::Directory(const NodePtr& directory,
                                                          const std::vector<NameChange>& unsynced) {
  auto entries_of = [&](const Node& node) -> Entries& {
    return entries_.try_emplace(&node, node.durable_entries).first->second;
  };
  std::map<const Node*, size_t> left;  // changes of each directory
  for (auto& change : unsynced) ++left[change.edits.front().directory.get()];
  for (auto& change : unsynced) {  // in order, since the addresses of nodes are not
    auto [found, first] = survivors_.try_emplace(change.edits.front().directory.get(), 0);
    if (!first) continue;
    DecideFor(change.edits.front().name);
    size_t all = left.at(found->first);
    found->second = way_ == Way::kAll ? all : way_ == Way::kNothing ? 0 : random_() % (all + 1);
  }
  for (auto& change : unsynced) {
    size_t& survivors = survivors_.at(change.edits.front().directory.get());
    if (survivors == 0) continue;
    --survivors;
    for (auto& edit : change.edits) {
      if (edit.node) {
        entries_of(*edit.directory)[edit.name] = edit.node;
      } else {
        entries_of(*edit.directory).erase(edit.name);
      }
    }
  }
  return After(directory);
}

SimulatedDisk::NodePtr SimulatedDisk::PowerCut::After(const NodePtr& node) {
  auto& copy = copies_[node.get()];
  if (copy) {
    ++copy->names;
    return copy;
  }
  copy = std::make_shared<Node>(node->type);
  NodePtr result = copy;  // the map may grow below
  result->names = 1;
  made_.push_back(result.get());
  if (node->type == Type::kFile) {
    result->now = result->durable = ContentAfter(*node);
    return result;
  }
  auto changed = entries_.find(node.get());
  const Entries& entries = changed != entries_.end() ? changed->second : node->durable_entries;
  for (auto& [name, entry] : entries) {
    DecideFor(name);
    result->entries[name] = After(entry);
  }
  result->durable_entries = result->entries;
  return result;
}

Content SimulatedDisk::PowerCut::ContentAfter(const Node& node) {
  Content content = node.durable;
  size_t count = node.unsynced.size();
  if (way_ == Way::kOlder && count > 0) count = random_() % (count + 1);
  for (size_t i = 0; i < count; ++i) {
    const FileChange& change = node.unsynced[i];
    bool torn = way_ == Way::kTorn || (way_ == Way::kOlder && i + 1 == count);
    if (torn && random_() % 2 == 0) {
      change.ApplySome(content, random_);
    } else if (Survives()) {
      change.Apply(content);
    }
  }
  content.Trim();
  return content;
}

}  // namespace tarn::local
