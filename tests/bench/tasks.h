// Tasks that several workloads use.
#pragma once

#include <functional>

#include "tests/bench/runner.h"

namespace tarn::bench {

// A task of one compound.
class OneCompound : public Task {
 public:
  using Fill = std::function<void(nfs_client::Compound&)>;
  explicit OneCompound(Fill fill, uint64_t bytes = 0) : fill_(std::move(fill)), bytes_(bytes) {}
  Next Step(const Reply* reply, nfs_client::Compound& compound) override {
    if (reply != nullptr) return reply->status == nfs4::NFS4_OK ? Next::kDone : Next::kFailed;
    fill_(compound);
    return Next::kSend;
  }
  uint64_t bytes() const override { return bytes_; }

 private:
  Fill fill_;
  uint64_t bytes_;
};

}  // namespace tarn::bench
