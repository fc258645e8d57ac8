#include "server/control/exports.h"

#include <algorithm>
#include <mutex>
#include <utility>

namespace tarn::control {

Result<ExportPtr> ExportTable::Root(uint64_t listener) {
  uint32_t file_system = 0;
  {
    std::shared_lock lock(names_mutex_);
    auto found = listeners_.find(listener);
    if (found == listeners_.end()) return Error(Code::kNotFound);
    file_system = found->second;
  }
  return Find(file_system, 0);
}

Result<ExportPtr> ExportTable::Enter(uint32_t file_system, std::string_view name) {
  TRY(AccessPoint point, FindAccessPoint(file_system, name));
  return point.exported ? point.exported : first_use_(name);
}

Result<ExportPtr> ExportTable::Find(uint32_t file_system, uint64_t number) {
  Key key{file_system, number};
  Shard& shard = ShardOf(key);
  std::shared_lock lock(shard.mutex);
  auto found = shard.exports.find(key);
  if (found == shard.exports.end()) return Error(Code::kNotFound);
  return found->second;
}

std::vector<ExportPtr> ExportTable::FileSystems() {
  std::vector<ExportPtr> roots;
  for (Shard& shard : shards_) {
    std::shared_lock lock(shard.mutex);
    for (const auto& [key, entry] : shard.exports) {
      if (key.number == 0) roots.push_back(entry);
    }
  }
  return roots;
}

Result<ExportTable::AccessPoint> ExportTable::FindAccessPoint(uint32_t file_system,
                                                              std::string_view name) {
  AccessPoint point;
  {
    std::shared_lock lock(names_mutex_);
    auto found = names_.find({file_system, std::string(name)});
    if (found == names_.end()) return Error(Code::kNotFound);
    point.number = found->second;
  }
  if (auto entry = Find(file_system, point.number)) point.exported = *std::move(entry);
  return point;
}

std::vector<std::string> ExportTable::NamesAfter(uint32_t file_system, const std::string& last) {
  std::vector<std::string> names;
  std::shared_lock lock(names_mutex_);
  auto at = names_.upper_bound({file_system, last});
  for (; at != names_.end() && at->first.first == file_system; ++at) {
    names.push_back(at->first.second);
    if (names.size() == kNamesAtOnce) break;
  }
  return names;
}

bool ExportTable::AnyAccessPoint(uint32_t file_system,
                                 const std::function<bool(const std::string& name)>& visit) {
  std::string last;
  while (true) {
    std::vector<std::string> names = NamesAfter(file_system, last);
    if (std::any_of(names.begin(), names.end(), visit)) return true;
    if (names.size() < kNamesAtOnce) return false;
    last = std::move(names.back());
  }
}

void ExportTable::AddName(uint32_t file_system, const std::string& name, uint64_t number) {
  std::unique_lock lock(names_mutex_);
  names_[{file_system, name}] = number;
  names_generation_.fetch_add(1, std::memory_order_release);
}

void ExportTable::RemoveName(uint32_t file_system, const std::string& name) {
  std::unique_lock lock(names_mutex_);
  names_.erase({file_system, name});
}

void ExportTable::Publish(ExportPtr entry) {
  Key key{entry->file_system, entry->number};
  Shard& shard = ShardOf(key);
  std::unique_lock lock(shard.mutex);
  shard.exports[key] = std::move(entry);
}

void ExportTable::SetDelegations(uint32_t file_system, bool allowed) {
  for (Shard& shard : shards_) {
    std::vector<ExportPtr> last;  // freed after the lock
    std::unique_lock lock(shard.mutex);
    for (auto& [key, entry] : shard.exports) {
      if (key.file_system != file_system || entry->delegations == allowed) continue;
      auto changed = std::make_shared<nfs4::Export>(*entry);
      changed->delegations = allowed;
      last.push_back(std::exchange(entry, std::move(changed)));
    }
  }
}

void ExportTable::Withdraw(uint32_t file_system, uint64_t number) {
  Key key{file_system, number};
  Shard& shard = ShardOf(key);
  ExportPtr last;  // freed after the lock
  std::unique_lock lock(shard.mutex);
  auto found = shard.exports.find(key);
  if (found == shard.exports.end()) return;
  last = std::move(found->second);
  shard.exports.erase(found);
}

void ExportTable::BindListener(uint64_t tag, uint32_t file_system) {
  std::unique_lock lock(names_mutex_);
  listeners_[tag] = file_system;
}

void ExportTable::UnbindListener(uint64_t tag) {
  std::unique_lock lock(names_mutex_);
  listeners_.erase(tag);
  allowed_.erase(tag);
}

void ExportTable::SetAllowed(uint64_t tag, Allowed allowed) {
  std::unique_lock lock(names_mutex_);
  if (allowed) {
    allowed_[tag] = std::move(allowed);
  } else {
    allowed_.erase(tag);
  }
}

ExportTable::Entry ExportTable::EntryOf(uint64_t tag, const std::optional<IpAddress>& address) {
  Allowed allowed;
  {
    std::shared_lock lock(names_mutex_);
    auto found = allowed_.find(tag);
    if (found == allowed_.end()) return closed_ ? Entry::kUndecided : Entry::kAllowed;
    allowed = found->second;
  }
  bool listed = address && std::any_of(allowed->begin(), allowed->end(), [&](const IpRange& range) {
                  return range.Contains(*address);
                });
  return listed ? Entry::kAllowed : Entry::kForbidden;
}

}  // namespace tarn::control
