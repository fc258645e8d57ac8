#include "operator/denials.h"

#include <optional>

#include "operator/names.h"
#include "operator/references.h"

namespace tarn::op {

Result<Outcome> DenialReporter::Reconcile(const ObjectName& name) {
  auto fs = context_.file_systems.Find(name);
  if (!fs) return Outcome{};
  const std::string id = FileSystemIdOf(*fs);
  auto address = ReadyAddress(*fs);
  if (!address.ok()) return Outcome{kPoll};
  std::optional<uint64_t> after;
  {
    std::lock_guard lock(mutex_);
    if (auto seen = seen_.find(id); seen != seen_.end()) after = seen->second;
  }
  auto denials = context_.control.DescribeDenials(*address, id, after.value_or(0));
  if (!denials.ok()) return Outcome{kPoll};  // a server that restarts is no failure of this
  if (after && denials->last < *after) {     // it began to count anew
    TRY(*denials, context_.control.DescribeDenials(*address, id, 0));
  }
  const int64_t oldest = after ? 0 : context_.now_seconds() - kFirstLookSeconds;
  for (const Denial& denial : denials->denials) {
    if (denial.seconds >= oldest) Report(*fs, denial);
  }
  std::lock_guard lock(mutex_);
  seen_[id] = denials->last;
  return Outcome{kPoll};
}

void DenialReporter::Report(const Json& file_system, const Denial& denial) {
  const std::string what =
      denial.access_point_id.empty() ? FileSystemIdOf(file_system) : denial.access_point_id;
  const size_t slash = denial.pod.find('/');
  if (slash != std::string::npos) {
    auto pod =
        context_.client.Get(kPod, {denial.pod.substr(0, slash), denial.pod.substr(slash + 1)});
    if (pod.ok()) {
      return context_.events.Warning(*pod, "AccessDenied",
                                     what + " is denied by its " + denial.layer +
                                         " layer: " + denial.reason + ". tarnctl whynot says more");
    }
  }
  const std::string who =
      denial.service_account.empty() ? "an anonymous client" : denial.service_account;
  context_.events.Warning(file_system, "AccessDenied",
                          who + " at " + denial.address + " was denied " + what + " by the " +
                              denial.layer + " layer: " + denial.reason);
}

}  // namespace tarn::op
