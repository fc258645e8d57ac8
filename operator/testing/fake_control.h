// FakeControl: file servers in memory behind ControlApi, for tests: access points by token, quotas,
// tags, lifecycle rules, and servers that do not answer.
#pragma once

#include <functional>
#include <map>
#include <mutex>

#include "operator/control.h"

namespace tarn::op {

class FakeControl : public ControlApi {
 public:
  struct AccessPoint {
    AccessPointSpec spec;
    AccessPointFacts facts;
    Tags tags;
  };

  void SetCredentials(const ClientPems& pems) override;
  Result<FileSystemFacts> DescribeFileSystem(const std::string& address,
                                             const std::string& id) override;
  Result<void> UpdateThroughput(const std::string& address, const std::string& id,
                                const std::string& mode, double mibps) override;
  Result<AccessPointFacts> CreateAccessPoint(const std::string& address,
                                             const AccessPointSpec& spec) override;
  Result<AccessPointFacts> DescribeAccessPoint(const std::string& address,
                                               const std::string& id) override;
  Result<AccessPointFacts> FindAccessPoint(const std::string& address,
                                           const std::string& file_system_id,
                                           const std::string& client_token) override;
  Result<AccessPointFacts> UpdateAccessPoint(const std::string& address, const std::string& id,
                                             uint64_t quota_bytes, uint64_t quota_files) override;
  Result<void> DeleteAccessPoint(const std::string& address, const std::string& id,
                                 bool with_root) override;
  Result<void> PutLifecycle(const std::string& address, const std::string& id,
                            const LifecycleRules& rules) override;
  Result<void> SetPolicy(const std::string& address, const std::string& id,
                         const std::string& policy) override;
  Result<Denials> DescribeDenials(const std::string& address, const std::string& id,
                                  uint64_t after) override;
  Result<void> SetSecurityGroups(const std::string& address, const std::string& file_system_id,
                                 const std::string& mount_target_id,
                                 const std::vector<std::string>& ranges) override;
  Result<void> SetTags(const std::string& address, const std::string& id,
                       const Tags& tags) override;

  // From now on no server answers.
  void SetDown(bool down);
  // Why file systems are in the state error; empty: they are available.
  void SetError(const std::string& why);
  // The size that servers tell.
  void SetSize(uint64_t bytes);
  std::map<std::string, AccessPoint> access_points();
  bool roots_deleted();
  void Lose(const std::string& access_point_id);
  std::map<std::string, LifecycleRules> lifecycle();
  std::map<std::string, Tags> tags();
  // By file system, without those that have none. One that is "wrong" is refused.
  std::map<std::string, std::string> policies();
  // By file system.
  std::map<std::string, std::vector<std::string>> security_groups();
  // Why servers take no list of who may connect; empty: they do.
  void RefuseGroups(const std::string& why);
  int refusals();  // for that
  void PutPolicy(const std::string& id, const std::string& policy);
  std::string throughput_mode();
  bool has_credentials();
  // What all servers tell from now on; a sequence is a place in it.
  void SetDenials(std::vector<Denial> denials);
  // Called before each call; an error of it is the call's. For crash tests.
  void SetGate(std::function<Result<void>()> gate);

 private:
  Result<void> Enter();

  std::mutex mu_;
  std::function<Result<void>()> gate_;
  bool down_ = false;
  bool roots_deleted_ = false;
  std::string error_, groups_refused_;
  std::vector<Denial> denials_;
  ClientPems pems_;
  uint64_t size_ = 0;
  std::string mode_ = "elastic";
  double mibps_ = 0;
  int next_ = 1;
  int refusals_ = 0;
  std::map<std::string, AccessPoint> access_points_;
  std::map<std::string, LifecycleRules> lifecycle_;
  std::map<std::string, Tags> tags_;
  std::map<std::string, std::string> policies_;
  std::map<std::string, std::vector<std::string>> security_groups_;
};

}  // namespace tarn::op
