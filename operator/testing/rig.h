// Rig: an operator over a FakeCluster and a FakeControl, which can be cut off after any number of
// requests and started anew, as a process that was killed is.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "operator/kube/testing/fake_cluster.h"
#include "operator/operator.h"
#include "operator/testing/fake_control.h"

namespace tarn::op {

class Rig {
 public:
  Rig();
  ~Rig();

  // Starts an operator; from its `requests`-th request on nothing of it arrives anywhere (< 0:
  // never).
  void Start(int requests = -1);
  void Kill();
  bool cut_off() const { return budget_ == 0; }

  void Create(const kube::ResourceType& type, const Json& object);
  // Merges into the object that is there.
  void Change(const kube::ResourceType& type, const Json& object);
  void Delete(const kube::ResourceType& type, const std::string& name,
              const std::string& ns = "default");
  Json Get(const kube::ResourceType& type, const std::string& name,
           const std::string& ns = "default");
  bool Gone(const kube::ResourceType& type, const std::string& name);
  // As the StatefulSet controller and kubelet would say once the server is up.
  void SetServing(const std::string& name, bool serving = true);
  // status, reason or message of a condition.
  std::string Condition(const kube::ResourceType& type, const std::string& name,
                        const std::string& condition, const std::string& field = "status");
  Json RegistryEntry(const std::string& file_system_id);

  // So many seconds later the FileSystem "shared" is reconciled again.
  void Touch(int64_t seconds = 0);

  // A FileSystem "shared" that serves; returns its id.
  std::string MakeShared(bool becomes_ready = true);

  kube::FakeCluster cluster;
  FakeControl control;
  // Seconds by which the operator's clock is ahead.
  std::atomic<int64_t> clock_offset{0};

 private:
  int touches_ = 0;
  class Cut;
  std::atomic<int> budget_{-1};
  std::unique_ptr<Cut> transport_;
  std::unique_ptr<kube::Client> client_;
  std::unique_ptr<Operator> operator_;
};

// Polls for at most 10 seconds.
bool Eventually(const std::function<bool()>& check);

Json SharedSpec();

}  // namespace tarn::op
