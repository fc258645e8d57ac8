// What NFS clients hold of the server's memory, counted for the tenants that they are of
// (rpc::Peer::tenant), so that none keeps the others out, nor ends the server.
//
// Threads: any.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "common/fair_bound.h"

namespace tarn::nfs4 {

// Bytes, about, with what the allocator and the engine's cache add. An open file pins its inode.
inline constexpr size_t kStateBytes = 1024;  // an open, a delegation, an owner's locks of a file
inline constexpr size_t kRangeBytes = 64;
inline constexpr size_t kOwnerBytes = 256;     // and its name twice
inline constexpr size_t kSessionBytes = 3072;  // without what ReplyBudget counts

// Of all tenants together.
struct StateLimits {
  size_t clients = 20'000;
  size_t bytes = size_t{2} << 30;  // enough for two million opens
};

struct StateBounds {
  explicit StateBounds(const StateLimits& limits) : clients(limits.clients), bytes(limits.bytes) {}
  FairBound clients;
  FairBound bytes;
  // Clients take back what they held, by the parts of that time.
  std::atomic<bool> in_grace{false};
};

struct Tenant {
  explicit Tenant(std::shared_ptr<StateBounds> all) : bounds(std::move(all)) {}
  const std::shared_ptr<StateBounds> bounds;
  FairBound::Part clients{0};
  FairBound::Part bytes{0};
};
using TenantPtr = std::shared_ptr<Tenant>;

// Those that have clients.
class Tenants {
 public:
  explicit Tenants(const StateLimits& limits) : bounds_(std::make_shared<StateBounds>(limits)) {}
  TenantPtr Get(std::string_view name);
  StateBounds& bounds() { return *bounds_; }
  // Forgets those that have none any more. Call now and then.
  void Tick();

 private:
  const std::shared_ptr<StateBounds> bounds_;
  std::mutex mutex_;
  std::unordered_map<std::string, std::weak_ptr<Tenant>> tenants_;  // guarded by mutex_
};

// One client's part. It counts as a client while this lives.
class Account {
 public:
  // `returns`: it is of the last run, here and below.
  static bool MayOpen(const Tenant& tenant, bool returns);
  // Counts it whether or not it may be.
  Account(TenantPtr tenant, bool returns);
  ~Account();
  Account(const Account&) = delete;
  Account& operator=(const Account&) = delete;

  // False: nothing is taken.
  bool Take(size_t bytes);
  void TakeAnyway(size_t bytes);
  void Give(size_t bytes);
  // From now on it is counted for that one.
  void MoveTo(TenantPtr tenant);
  // Half of all that clients may hold is held.
  bool tight();
  // Its tenant holds more than is left for all.
  bool MoreThanIsLeft();

 private:
  const bool returns_;
  std::mutex mutex_;
  TenantPtr tenant_;  // guarded by mutex_
  size_t bytes_ = 0;  // guarded by mutex_
};

// What one object holds of its client's account, which outlives it. Its owner's locks guard it.
class Holding {
 public:
  explicit Holding(Account& account) : account_(account) {}
  ~Holding() {
    if (bytes_ > 0) account_.Give(bytes_);
  }
  Holding(const Holding&) = delete;
  Holding& operator=(const Holding&) = delete;

  bool Take(size_t bytes) {
    if (!account_.Take(bytes)) return false;
    bytes_ += bytes;
    return true;
  }
  void TakeAnyway(size_t bytes) {
    account_.TakeAnyway(bytes);
    bytes_ += bytes;
  }
  void Give(size_t bytes) {
    account_.Give(bytes);
    bytes_ -= bytes;
  }

 private:
  Account& account_;
  size_t bytes_ = 0;
};

}  // namespace tarn::nfs4
