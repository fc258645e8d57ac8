#include "server/access/connection.h"

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

std::optional<Connection::Decided> Connection::Recall(uint32_t file_system, uint64_t number,
                                                      uint64_t generation) const {
  std::shared_lock lock(mutex_);
  for (const Decided& one : decided_) {
    if (one.file_system != file_system || one.number != number) continue;
    return one.generation == generation ? std::optional(one) : std::nullopt;
  }
  return std::nullopt;
}

std::optional<nfs4::Rights> Connection::Keep(const Decided& decided) const {
  std::unique_lock lock(mutex_);
  for (Decided& one : decided_) {
    if (one.file_system != decided.file_system || one.number != decided.number) continue;
    nfs4::Rights before = one.rights;
    // Whoever decided by an older policy comes too late.
    if (decided.generation >= one.generation) one = decided;
    return before;
  }
  decided_[next_] = decided;
  next_ = (next_ + 1) % kDecidedMax;
  return std::nullopt;
}

}  // namespace tarn::access
