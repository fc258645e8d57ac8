// Notices that the pods change which rules of MountTargets select: lists those again every few
// seconds, and has the file system reconciled when whom they let in is another. Only of file
// systems with such rules, and only that part of a reconcile.
//
// Threads: any.
#pragma once

#include <functional>
#include <map>
#include <mutex>

#include "operator/context.h"
#include "operator/network.h"

namespace tarn::op {

class NetworkWatch {
 public:
  // How soon a pod that came or went is known.
  static constexpr std::chrono::seconds kPodsRefresh{10};
  using Changed = std::function<void(const ObjectName& file_system)>;

  NetworkWatch(Context& context, Changed changed, std::chrono::milliseconds refresh)
      : context_(context), changed_(std::move(changed)), refresh_(refresh) {}

  // What a reconcile of the file system goes by.
  void Note(const ObjectName& file_system, const Network& network);
  Result<Outcome> Reconcile(const ObjectName& file_system);

 private:
  Context& context_;
  const Changed changed_;
  const std::chrono::milliseconds refresh_;
  std::mutex mutex_;  // guards what follows
  std::map<ObjectName, Network> noted_;
};

}  // namespace tarn::op
