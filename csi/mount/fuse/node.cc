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

NodeTable::Hidden NodeTable::Close(Node& node) {
  Hidden hidden;
  std::lock_guard lock(mutex_);
  if (--node.opens > 0) return hidden;
  --open_files_;
  {
    std::lock_guard of_node(node.mutex);
    if (node.silly) hidden = {node.directory, node.name, node.remover};
  }
  EraseIfUnused(node);
  return hidden;
}

Node* NodeTable::PinOpen(const FileHandle& handle) {
  std::lock_guard lock(mutex_);
  auto found = nodes_.find(handle.view());
  if (found == nodes_.end() || found->second->opens == 0) return nullptr;
  ++found->second->opens;
  return found->second.get();
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
