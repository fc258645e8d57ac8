#include "operator/network_watch.h"

#include "operator/names.h"

namespace tarn::op {

void NetworkWatch::Note(const ObjectName& file_system, const Network& network) {
  std::lock_guard lock(mutex_);
  noted_[file_system] = network;
}

Result<Outcome> NetworkWatch::Reconcile(const ObjectName& name) {
  auto fs = context_.file_systems.Find(name);
  if (!fs || !SelectsPods(context_, *fs)) {
    std::lock_guard lock(mutex_);
    noted_.erase(name);
    return Outcome{};  // a change of rules brings us back
  }
  auto network = ResolveNetwork(context_, *fs);
  bool changed = false;
  if (network.ok()) {
    std::lock_guard lock(mutex_);
    auto noted = noted_.find(name);
    // Without one, the first reconcile is yet to come that gets there.
    changed = noted != noted_.end() && noted->second != *network;
  }
  if (changed) changed_(name);
  return Outcome{refresh_};
}

}  // namespace tarn::op
