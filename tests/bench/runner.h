// Runs a workload against an NFS 4.1 server: a thread, a client and a connection each, with `depth`
// requests under way on it at all times.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/bench/channel.h"
#include "tests/nfs/client/client.h"

namespace tarn::bench {

// One operation as the user counts them, such as "create a file": one or several compounds.
class Task {
 public:
  enum class Next { kSend, kDone, kFailed };
  virtual ~Task() = default;
  // `reply` is that of the last compound, absent at first. kSend: `compound` was filled. kFailed:
  // reply->status says why.
  virtual Next Step(const Reply* reply, nfs_client::Compound& compound) = 0;
  // After kDone.
  virtual uint64_t bytes() const { return 0; }
  virtual uint64_t operations() const { return 1; }
};

// What one thread does. Made with the thread's client; single-threaded.
class Workload {
 public:
  virtual ~Workload() = default;
  // Once, before the clock starts. False: it cannot.
  virtual bool Prepare(nfs_client::Client& client) = 0;
  // The next operation, or nothing when all are under way.
  virtual std::unique_ptr<Task> NextTask() = 0;
  // Once, while the clock still runs.
  virtual bool Finish(nfs_client::Client&) { return true; }
};

struct RunOptions {
  nfs_client::ClientOptions client;
  uint32_t connections = 1;
  uint32_t depth = 1;                     // requests under way on each connection
  std::chrono::milliseconds duration{0};  // zero: until the workload has no more
};

struct Totals {
  bool ok = true;
  std::string problem;
  uint64_t operations = 0;
  uint64_t bytes = 0;
  double seconds = 0;
  double client_processor_seconds = 0;
  struct Done {
    uint32_t took = 0;  // microseconds
    float at = 0;       // seconds after the begin
  };
  std::vector<Done> done;  // every task, in order of `at`

  // In microseconds.
  uint32_t Percentile(double of) const;
  // Tasks a second in the first or last tenth of all tasks.
  double TenthPerSecond(bool last) const;
};

using MakeWorkload = std::function<std::unique_ptr<Workload>(uint32_t thread)>;
Totals Run(const RunOptions& options, const MakeWorkload& make);

}  // namespace tarn::bench
