// Makes Kubernetes events of what file servers refused, so that `kubectl describe pod` says why a
// pod has no access. Refused mounts are told by kubelet as well; rights that are taken away later,
// by a policy that changed, only here.
//
// Whoever reaches a server can be refused as often as it likes, so what that makes us write is
// limited for each file system; what is over the limit is counted. A client that did not say who it
// is gets none of its own words or addresses into an event.
#pragma once

#include <map>
#include <mutex>
#include <optional>

#include "operator/context.h"

namespace tarn::op {

class DenialReporter {
 public:
  static constexpr std::chrono::seconds kPoll{5};
  // At the first look at a server: older denials were another leader's to report.
  static constexpr int64_t kFirstLookSeconds = 15;

  // Events about refusals of one file system, of one look and in one minute. Besides: one a minute
  // with the number of the others.
  static constexpr size_t kMaxEventsPerPoll = 5;
  static constexpr size_t kMaxEventsPerMinute = 30;

  explicit DenialReporter(Context& context) : context_(context) {}
  // Asks the server of this FileSystem; again after kPoll for as long as that exists.
  Result<Outcome> Reconcile(const ObjectName& name);
  // How many file systems are remembered.
  size_t remembered();

 private:
  struct Seen {
    std::string id;                // another one: a FileSystem that was made anew
    std::optional<uint64_t> last;  // the last sequence
    int64_t minute = 0;            // when it began, seconds
    size_t told = 0;               // events in this minute
    size_t untold = 0;             // refusals that got none, and were not counted in an event yet
  };
  // Of that FileSystem, as long as it has that id.
  Seen Recall(const ObjectName& name, const std::string& id);
  // Reorders `denials`.
  void Report(const Json& file_system, std::vector<Denial>& denials, Seen& seen);
  void ReportOne(const Json& file_system, const Denial& denial);

  Context& context_;
  std::mutex mutex_;
  std::map<ObjectName, Seen> seen_;  // guarded by mutex_: by FileSystem
};

}  // namespace tarn::op
