#include "server/access/connection.h"

#include "server/policy/arn.h"

namespace tarn::access {

rpc::PeerIdentity IdentityOf(const Facts& facts) {
  if (!facts.secure_transport) return {};
  // Not the issuer: a cluster may change its own, and its accounts' names say which cluster's they
  // are.
  const std::array<std::string_view, 6> fields{
      "tls",         facts.file_system,  facts.access_point, facts.account_name,
      facts.pod_uid, facts.aws_principal};
  return rpc::PeerIdentity::Of(fields);
}

std::string TenantOf(const Facts& facts) {
  const std::string& account = facts.account_name;
  if (!account.empty()) return account.substr(0, account.find('/'));
  if (facts.aws_principal.empty()) return {};
  return "aws/" + std::string(policy::AccountOfArn(facts.aws_principal));  // no namespace has a '/'
}

Connection::Decided* Connection::Find(uint32_t file_system, uint64_t number) const {
  for (Decided& one : decided_) {
    if (one.file_system == file_system && one.number == number) return &one;
  }
  if (!more_) return nullptr;
  auto found = more_->find({file_system, number});
  return found == more_->end() ? nullptr : &found->second;
}

std::optional<Connection::Decided> Connection::Recall(uint32_t file_system, uint64_t number,
                                                      uint64_t generation) const {
  std::shared_lock lock(mutex_);
  const Decided* found = Find(file_system, number);
  return found != nullptr && found->generation == generation ? std::optional(*found) : std::nullopt;
}

std::optional<nfs4::Rights> Connection::Keep(const Decided& decided) const {
  std::unique_lock lock(mutex_);
  if (Decided* found = Find(decided.file_system, decided.number)) {
    nfs4::Rights before = found->rights;
    // Whoever decided by an older policy comes too late.
    if (decided.generation >= found->generation) *found = decided;
    return before;
  }
  if (Decided* free = Find(0, 0)) {
    *free = decided;
    return std::nullopt;
  }
  if (!more_) more_ = std::make_unique<More>();
  if (more_->size() == kDecidedMore) more_->erase(more_->begin());
  more_->insert_or_assign({decided.file_system, decided.number}, decided);
  return std::nullopt;
}

}  // namespace tarn::access
