// Journal: who was let in and who was not, and which layer said so.
//
// Each decision is one audit line (log.h) and, for a while, can be asked for: by `tarnctl whynot`,
// and by the operator, which makes Kubernetes events of denials. What floods is counted, not
// written: the next line that is written says how many were not.
//
// Threads: any.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/log_ration.h"

namespace tarn::audit {

// Which of those that must all allow decided.
enum class Layer : uint8_t {
  kNetwork,   // the mount target's allow-list
  kIdentity,  // the client's certificate, its token, and what it is bound to
  kPolicy,    // the file system policy
  kPosix,     // mode bits and owners
};
// "network", "identity", "policy", "posix".
const char* Name(Layer layer);

struct Access {
  bool granted = false;
  Layer layer = Layer::kPolicy;
  std::string reason = {};           // for people: the rule that decided
  std::string file_system_id = {};   // "fs-…"; empty: not known yet
  std::string access_point_id = {};  // "fsap-…"; empty: the file system itself
  // "namespace/name"; or the ARN of who has an access key; empty: anonymous.
  std::string service_account = {};
  std::string pod = {};  // "namespace/name"; empty: not known
  std::string address = {};
  std::string transport = {};  // "TLSv1.3", or "plain"
  bool write = false;          // what was granted besides mounting
  bool root = false;
};

class Journal {
 public:
  static constexpr size_t kRecentMax = 4096;      // of denials, and as many of grants
  static constexpr size_t kReasonBytesMax = 512;  // longer ones are cut

  explicit Journal(const Clock& clock) : clock_(clock) {}

  void Add(Access access);

  struct Entry {
    uint64_t sequence = 0;  // in the order of time, over restarts of the process, too
    int64_t seconds = 0;    // since 1970
    Access access;
  };
  struct Query {
    uint64_t after = 0;               // only what came after this sequence
    std::string file_system_id = {};  // empty: of all, and of none
    std::string pod = {};             // empty: of all
    bool denied_only = false;
    size_t max = 100;
  };
  // Of those that fit the last `max`, oldest first.
  std::vector<Entry> Recent(const Query& query) const;
  uint64_t last_sequence() const;

 private:
  void WriteLine(const Access& access);

  const Clock& clock_;
  // Denials and grants apart, in memory and on the log: many of the one kind hide none of the
  // other.
  struct Kind {
    std::deque<Entry> recent;  // guarded by mutex_
    uint64_t unwritten = 0;    // guarded by mutex_
    LogRation ration;
  };
  Kind& KindOf(const Access& access) { return access.granted ? granted_ : denied_; }

  mutable std::mutex mutex_;
  uint64_t last_ = 0;  // guarded by mutex_
  Kind granted_, denied_;
};

}  // namespace tarn::audit
