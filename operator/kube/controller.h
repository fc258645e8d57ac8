// Controller: a work queue, a few threads, and what a reconcile's outcome means.
#pragma once

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "operator/kube/client.h"
#include "operator/kube/informer.h"
#include "operator/kube/work_queue.h"

namespace tarn::kube {

// What a reconcile says: look again after that time (0: when something changes), or an error.
// kInvalid is the user's to mend and is not retried until the object changes or the resync comes.
struct Outcome {
  std::chrono::milliseconds again_after{0};
};
using Reconcile = std::function<Result<Outcome>(const ObjectName&)>;

class Controller {
 public:
  static constexpr int kThreads = 2;
  static constexpr std::chrono::minutes kResync{10};

  Controller(std::string name, Reconcile reconcile)
      : name_(std::move(name)), reconcile_(std::move(reconcile)) {}
  ~Controller() { Stop(); }

  void Add(const ObjectName& name) { queue_.Add(name.Key()); }
  void Start();
  void Stop();
  const WorkQueue& queue() const { return queue_; }
  uint64_t reconciles() const { return reconciles_; }
  uint64_t failures() const { return failures_; }

 private:
  void Run(std::stop_token stop);
  void One(const std::string& key);

  std::string name_;
  Reconcile reconcile_;
  WorkQueue queue_;
  std::atomic<uint64_t> reconciles_{0};
  std::atomic<uint64_t> failures_{0};
  std::vector<std::jthread> threads_;
};

}  // namespace tarn::kube
