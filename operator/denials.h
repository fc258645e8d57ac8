// Makes Kubernetes events of what file servers refused, so that `kubectl describe pod` says why a
// pod has no access. Refused mounts are told by kubelet as well; rights that are taken away later,
// by a policy that changed, only here.
#pragma once

#include <map>
#include <mutex>

#include "operator/context.h"

namespace tarn::op {

class DenialReporter {
 public:
  static constexpr std::chrono::seconds kPoll{5};
  // At the first look at a server: older denials were another leader's to report.
  static constexpr int64_t kFirstLookSeconds = 15;

  explicit DenialReporter(Context& context) : context_(context) {}
  // Asks the server of this FileSystem; again after kPoll for as long as that exists.
  Result<Outcome> Reconcile(const ObjectName& name);

 private:
  void Report(const Json& file_system, const Denial& denial);

  Context& context_;
  std::mutex mutex_;
  std::map<std::string, uint64_t> seen_;  // guarded by mutex_: by file system id, the last sequence
};

}  // namespace tarn::op
