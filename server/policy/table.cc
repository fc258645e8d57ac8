#include "server/policy/table.h"

#include <mutex>
#include <utility>

namespace tarn::policy {

PolicyPtr Table::Find(uint32_t file_system) const {
  std::shared_lock lock(mutex_);
  auto found = policies_.find(file_system);
  return found == policies_.end() ? nullptr : found->second;
}

void Table::Set(uint32_t file_system, PolicyPtr policy) {
  std::unique_lock lock(mutex_);
  if (policy == nullptr) {
    auto found = policies_.find(file_system);
    if (found == policies_.end()) return;
    policy = std::move(found->second);  // freed after the lock
    policies_.erase(found);
  } else {
    std::swap(policies_[file_system], policy);
  }
  generation_.fetch_add(1, std::memory_order_release);
}

}  // namespace tarn::policy
