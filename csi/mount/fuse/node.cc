#include "csi/mount/fuse/node.h"

namespace tarn::fuse {

NodeTable::NodeTable(const FileHandle& root, const Attributes& attributes) {
  root_ = &Remember(root, attributes);
}

NodeTable::~NodeTable() = default;

Node& NodeTable::Remember(const FileHandle& handle, const Attributes& attributes) {
  std::lock_guard lock(mutex_);
  auto found = nodes_.find(handle.view());
  if (found == nodes_.end()) {
    auto node = std::make_unique<Node>(handle, attributes);
    std::string_view key = node->handle.view();
    found = nodes_.emplace(key, std::move(node)).first;
  }
  ++found->second->lookups;
  return *found->second;
}

void NodeTable::EraseIfUnused(Node& node) {
  if (node.lookups != 0 || node.opens != 0) return;
  auto found = nodes_.find(node.handle.view());
  if (found != nodes_.end()) nodes_.erase(found);
}

void NodeTable::Forget(fuse_ino_t ino, uint64_t lookups) {
  if (ino == FUSE_ROOT_ID) return;
  std::lock_guard lock(mutex_);
  Node& node = At(ino);
  node.lookups -= std::min(node.lookups, lookups);
  EraseIfUnused(node);
}

void NodeTable::Open(Node& node) {
  std::lock_guard lock(mutex_);
  if (node.opens++ == 0) ++open_files_;
}

void NodeTable::Releasing(Node& node) {
  std::lock_guard lock(mutex_);
  ++node.releasing;
}

NodeTable::Hidden NodeTable::Close(Node& node, bool released) {
  Hidden hidden;
  std::lock_guard lock(mutex_);
  if (released) --node.releasing;
  if (--node.opens > 0) return hidden;
  --open_files_;
  {
    std::lock_guard of_node(node.mutex);
    if (node.silly) hidden = {node.directory, node.name, node.remover};
  }
  if (!hidden.name.empty()) ++hidden_[std::string(hidden.directory.view())].leaving;
  EraseIfUnused(node);
  return hidden;
}

Node* NodeTable::PinOpen(const FileHandle& handle) {
  std::lock_guard lock(mutex_);
  auto found = nodes_.find(handle.view());
  if (found == nodes_.end() || found->second->opens == found->second->releasing) return nullptr;
  ++found->second->opens;
  return found->second.get();
}

void NodeTable::Hide(Node& node, Hidden hidden) {
  std::lock_guard lock(mutex_);
  std::lock_guard of_node(node.mutex);
  if (node.silly) return;
  ++hidden_[std::string(hidden.directory.view())].there;
  node.silly = true;
  node.directory = std::move(hidden.directory);
  node.name = std::move(hidden.name);
  node.remover = std::move(hidden.remover);
}

void NodeTable::HiddenGone(const Hidden& hidden) {
  std::lock_guard lock(mutex_);
  auto found = hidden_.find(hidden.directory.view());
  --found->second.leaving;
  if (--found->second.there == 0) hidden_.erase(found);
  ++hidden_gone_;
  hidden_went_.notify_all();
}

bool NodeTable::AwaitHidden(const FileHandle& directory, uint64_t gone_before,
                            std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  auto found = hidden_.find(directory.view());
  hidden_went_.wait_for(lock, patience, [&] {
    found = hidden_.find(directory.view());
    return found == hidden_.end() || hidden_gone_ != gone_before;
  });
  return hidden_gone_ != gone_before || (found != hidden_.end() && found->second.leaving > 0);
}

FileHandle NodeTable::FindByName(const FileHandle& directory, std::string_view name) {
  std::lock_guard lock(mutex_);
  for (auto& [handle, node] : nodes_) {
    std::lock_guard of_node(node->mutex);
    if (node->name == name && node->directory == directory) return node->handle;
  }
  return {};
}

size_t NodeTable::size() {
  std::lock_guard lock(mutex_);
  return nodes_.size();
}

}  // namespace tarn::fuse
