#include "operator/kube/recent.h"

namespace tarn::kube {
namespace {

std::string KeyOf(const ResourceType& type, const ObjectName& name) {
  return type.plural + "." + type.group + " " + name.Key();
}

}  // namespace

Result<Json> Recent::Get(const ResourceType& type, const ObjectName& name) {
  if (auto seen = Peek(type, name, kFreshSeconds)) return *std::move(seen);
  auto there = client_.Get(type, name);
  if (there.ok()) {
    Put(type, *there);
  } else {
    Forget(type, name);
  }
  return there;
}

std::optional<Json> Recent::Peek(const ResourceType& type, const ObjectName& name,
                                 int64_t max_age) {
  std::lock_guard lock(mutex_);
  auto found = seen_.find(KeyOf(type, name));
  if (found == seen_.end()) return std::nullopt;
  int64_t age = now_seconds_() - found->second.at;
  // A clock that was set back must not keep it for ever.
  if (age < 0 || age >= max_age) return std::nullopt;
  return found->second.object;
}

void Recent::Put(const ResourceType& type, const Json& object) {
  std::string key = KeyOf(type, NameOf(object));
  std::lock_guard lock(mutex_);
  auto [at, added] = seen_.insert_or_assign(key, Seen{object, now_seconds_()});
  if (!added) return;
  order_.push_back(key);
  while (order_.size() > kMaxObjects) {
    seen_.erase(order_.front());
    order_.pop_front();
  }
}

void Recent::Forget(const ResourceType& type, const ObjectName& name) {
  std::lock_guard lock(mutex_);
  seen_.erase(KeyOf(type, name));
}

}  // namespace tarn::kube
