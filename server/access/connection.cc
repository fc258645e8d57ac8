#include "server/access/connection.h"

namespace tarn::access {

std::optional<Connection::Decided> Connection::Recall(const nfs4::Export& exported,
                                                      uint64_t generation) const {
  std::shared_lock lock(mutex_);
  for (const Decided& one : decided_) {
    if (one.file_system != exported.file_system || one.number != exported.number) continue;
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
