#include "operator/testing/fake_control.h"

namespace tarn::op {

Result<void> FakeControl::Enter() {
  if (gate_) TRY(gate_());
  if (pems_.certificate.empty()) return Error(Code::kUnavailable, "handshake failed");
  if (down_) return Error(Code::kUnavailable, "connection refused");
  return Ok();
}

void FakeControl::SetCredentials(const ClientPems& pems) {
  std::lock_guard lock(mu_);
  pems_ = pems;
}

Result<FileSystemFacts> FakeControl::DescribeFileSystem(const std::string&, const std::string&) {
  std::lock_guard lock(mu_);
  TRY(Enter());
  FileSystemFacts facts;
  facts.life_cycle_state = error_.empty() ? "available" : "error";
  facts.status_message = error_;
  facts.size_bytes = facts.size_in_standard = size_;
  facts.throughput_mode = mode_;
  facts.provisioned_mibps = mibps_;
  return facts;
}

Result<Denials> FakeControl::DescribeDenials(const std::string&, const std::string&,
                                             uint64_t after) {
  std::lock_guard lock(mu_);
  TRY(Enter());
  Denials found{.denials = {}, .last = denials_.size()};
  for (uint64_t i = after; i < denials_.size(); ++i) found.denials.push_back(denials_[i]);
  return found;
}

void FakeControl::SetDenials(std::vector<Denial> denials) {
  std::lock_guard lock(mu_);
  denials_ = std::move(denials);
}

Result<void> FakeControl::UpdateThroughput(const std::string&, const std::string&,
                                           const std::string& mode, double mibps) {
  std::lock_guard lock(mu_);
  TRY(Enter());
  mode_ = mode;
  mibps_ = mibps;
  return Ok();
}

Result<AccessPointFacts> FakeControl::CreateAccessPoint(const std::string&,
                                                        const AccessPointSpec& spec) {
  std::lock_guard lock(mu_);
  TRY(Enter());
  for (const auto& [id, ap] : access_points_) {
    if (ap.spec.client_token != spec.client_token) continue;
    if (ap.facts.quota_bytes == spec.quota_bytes && ap.tags == spec.tags) return ap.facts;
    return Error(Code::kAlreadyExists, "the token was used with other properties");
  }
  std::string number = std::to_string(next_++);
  std::string id = "fsap-" + std::string(17 - number.size(), '0') + number;
  AccessPointFacts facts{id, "available", spec.quota_bytes, spec.quota_files, 0, 0};
  access_points_[id] = {spec, facts, spec.tags};
  return facts;
}

Result<AccessPointFacts> FakeControl::DescribeAccessPoint(const std::string&,
                                                          const std::string& id) {
  std::lock_guard lock(mu_);
  TRY(Enter());
  auto it = access_points_.find(id);
  if (it == access_points_.end()) return Error(Code::kNotFound, id);
  return it->second.facts;
}

Result<AccessPointFacts> FakeControl::FindAccessPoint(const std::string&,
                                                      const std::string& file_system_id,
                                                      const std::string& client_token) {
  std::lock_guard lock(mu_);
  TRY(Enter());
  for (const auto& [id, ap] : access_points_) {
    if (ap.spec.client_token == client_token && ap.spec.file_system_id == file_system_id) {
      return ap.facts;
    }
  }
  return Error(Code::kNotFound, client_token);
}

Result<AccessPointFacts> FakeControl::UpdateAccessPoint(const std::string&, const std::string& id,
                                                        uint64_t quota_bytes,
                                                        uint64_t quota_files) {
  std::lock_guard lock(mu_);
  TRY(Enter());
  auto it = access_points_.find(id);
  if (it == access_points_.end()) return Error(Code::kNotFound, id);
  if (quota_bytes != 0 && quota_bytes < it->second.facts.used_bytes) {
    return Error(Code::kInvalid, "quota_bytes is below the usage");
  }
  it->second.facts.quota_bytes = quota_bytes;
  it->second.facts.quota_files = quota_files;
  return it->second.facts;
}

Result<void> FakeControl::DeleteAccessPoint(const std::string&, const std::string& id,
                                            bool with_root) {
  std::lock_guard lock(mu_);
  TRY(Enter());
  if (access_points_.erase(id) == 0) return Error(Code::kNotFound, id);
  roots_deleted_ = roots_deleted_ || with_root;
  return Ok();
}

Result<void> FakeControl::PutLifecycle(const std::string&, const std::string& id,
                                       const LifecycleRules& rules) {
  std::lock_guard lock(mu_);
  TRY(Enter());
  lifecycle_[id] = rules;
  return Ok();
}

Result<void> FakeControl::SetPolicy(const std::string&, const std::string& id,
                                    const std::string& policy) {
  std::lock_guard lock(mu_);
  TRY(Enter());
  if (policy == "wrong") return Error(Code::kInvalid, "policy: is no JSON");
  policies_[id] = policy;
  if (policy.empty()) policies_.erase(id);
  return Ok();
}

Result<void> FakeControl::SetSecurityGroups(const std::string&, const std::string& file_system_id,
                                            const std::string&,
                                            const std::vector<std::string>& ranges) {
  std::lock_guard lock(mu_);
  TRY(Enter());
  if (!groups_refused_.empty()) {
    ++refusals_;
    return Error(Code::kInvalid, groups_refused_);
  }
  security_groups_[file_system_id] = ranges;
  return Ok();
}

std::map<std::string, std::vector<std::string>> FakeControl::security_groups() {
  std::lock_guard lock(mu_);
  return security_groups_;
}

int FakeControl::refusals() {
  std::lock_guard lock(mu_);
  return refusals_;
}

void FakeControl::RefuseGroups(const std::string& why) {
  std::lock_guard lock(mu_);
  groups_refused_ = why;
}

Result<void> FakeControl::SetTags(const std::string&, const std::string& id, const Tags& tags) {
  std::lock_guard lock(mu_);
  TRY(Enter());
  tags_[id] = tags;
  auto ap = access_points_.find(id);
  if (ap != access_points_.end()) ap->second.tags = tags;
  return Ok();
}

void FakeControl::SetDown(bool down) {
  std::lock_guard lock(mu_);
  down_ = down;
}

void FakeControl::SetError(const std::string& why) {
  std::lock_guard lock(mu_);
  error_ = why;
}

void FakeControl::SetSize(uint64_t bytes) {
  std::lock_guard lock(mu_);
  size_ = bytes;
}

std::map<std::string, FakeControl::AccessPoint> FakeControl::access_points() {
  std::lock_guard lock(mu_);
  return access_points_;
}

bool FakeControl::roots_deleted() {
  std::lock_guard lock(mu_);
  return roots_deleted_;
}

void FakeControl::Lose(const std::string& access_point_id) {
  std::lock_guard lock(mu_);
  access_points_.erase(access_point_id);
}

std::map<std::string, LifecycleRules> FakeControl::lifecycle() {
  std::lock_guard lock(mu_);
  return lifecycle_;
}

std::map<std::string, Tags> FakeControl::tags() {
  std::lock_guard lock(mu_);
  return tags_;
}

std::map<std::string, std::string> FakeControl::policies() {
  std::lock_guard lock(mu_);
  return policies_;
}

void FakeControl::PutPolicy(const std::string& id, const std::string& policy) {
  std::lock_guard lock(mu_);
  policies_[id] = policy;
}

std::string FakeControl::throughput_mode() {
  std::lock_guard lock(mu_);
  return mode_;
}

bool FakeControl::has_credentials() {
  std::lock_guard lock(mu_);
  return !pems_.certificate.empty();
}

void FakeControl::SetGate(std::function<Result<void>()> gate) {
  std::lock_guard lock(mu_);
  gate_ = std::move(gate);
}

}  // namespace tarn::op
