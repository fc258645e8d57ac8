#include "operator/denials.h"

#include <algorithm>
#include <set>

#include "operator/names.h"
#include "operator/references.h"

namespace tarn::op {
namespace {

constexpr int64_t kMinuteSeconds = 60;

bool IsAnonymous(const Denial& denial) {
  return denial.service_account.empty() && denial.pod.empty();
}

std::string WhatOf(const Json& file_system, const Denial& denial) {
  return denial.access_point_id.empty() ? FileSystemIdOf(file_system) : denial.access_point_id;
}

std::string MessageOf(const Json& file_system, const Denial& denial) {
  const std::string by = " by the " + denial.layer + " layer";
  // Before anything is known of a client, the reason may hold what it sent.
  if (IsAnonymous(denial) && (denial.layer == "identity" || denial.layer == "network")) {
    return "an anonymous client was denied " + FileSystemIdOf(file_system) + by +
           ". The server's audit log has its address and the reason";
  }
  const std::string who =
      denial.service_account.empty() ? "an anonymous client" : denial.service_account;
  return who + " at " + denial.address + " was denied " + WhatOf(file_system, denial) + by + ": " +
         denial.reason;
}

}  // namespace

Result<Outcome> DenialReporter::Reconcile(const ObjectName& name) {
  auto fs = context_.file_systems.Find(name);
  if (!fs) {
    std::lock_guard lock(mutex_);
    seen_.erase(name);
    return Outcome{};
  }
  const std::string id = FileSystemIdOf(*fs);
  auto address = ReadyAddress(*fs);
  if (!address.ok()) return Outcome{kPoll};
  Seen seen = Recall(name, id);
  auto denials = context_.control.DescribeDenials(*address, id, seen.last.value_or(0));
  if (!denials.ok()) return Outcome{kPoll};       // a server that restarts is no failure of this
  if (seen.last && denials->last < *seen.last) {  // it began to count anew
    TRY(*denials, context_.control.DescribeDenials(*address, id, 0));
  }
  const int64_t oldest = seen.last ? 0 : context_.now_seconds() - kFirstLookSeconds;
  std::erase_if(denials->denials, [oldest](const Denial& d) { return d.seconds < oldest; });
  Report(*fs, denials->denials, seen);
  seen.last = denials->last;
  std::lock_guard lock(mutex_);
  seen_[name] = std::move(seen);
  return Outcome{kPoll};
}

DenialReporter::Seen DenialReporter::Recall(const ObjectName& name, const std::string& id) {
  std::lock_guard lock(mutex_);
  auto it = seen_.find(name);
  if (it != seen_.end() && it->second.id == id) return it->second;
  return {.id = id, .last = {}};
}

size_t DenialReporter::remembered() {
  std::lock_guard lock(mutex_);
  return seen_.size();
}

void DenialReporter::Report(const Json& file_system, std::vector<Denial>& denials, Seen& seen) {
  const int64_t now = context_.now_seconds();
  if (now - seen.minute >= kMinuteSeconds) {
    if (seen.untold > 0) {
      context_.events.Warning(
          file_system, "AccessDenied",
          std::to_string(seen.untold) + " more were refused; the server's audit log has them");
    }
    seen.minute = now;
    seen.told = seen.untold = 0;
  }
  // Others must not crowd out those of whom the cluster knows.
  std::stable_partition(denials.begin(), denials.end(),
                        [](const Denial& d) { return !IsAnonymous(d); });
  std::set<std::string> told;
  for (const Denial& denial : denials) {
    std::string key = denial.pod + "\n" + MessageOf(file_system, denial);
    if (told.contains(key)) continue;  // the event that there is says it
    if (told.size() >= kMaxEventsPerPoll || seen.told >= kMaxEventsPerMinute) {
      ++seen.untold;
      continue;
    }
    told.insert(std::move(key));
    ++seen.told;
    ReportOne(file_system, denial);
  }
}

void DenialReporter::ReportOne(const Json& file_system, const Denial& denial) {
  const size_t slash = denial.pod.find('/');
  if (slash != std::string::npos) {
    auto pod =
        context_.client.Get(kPod, {denial.pod.substr(0, slash), denial.pod.substr(slash + 1)});
    if (pod.ok()) {
      return context_.events.Warning(*pod, "AccessDenied",
                                     WhatOf(file_system, denial) + " is denied by its " +
                                         denial.layer + " layer: " + denial.reason +
                                         ". tarnctl whynot says more");
    }
  }
  context_.events.Warning(file_system, "AccessDenied", MessageOf(file_system, denial));
}

}  // namespace tarn::op
