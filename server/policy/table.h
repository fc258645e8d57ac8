// Table: the policies in force, by file system.
//
// For each connection:
//   uint64_t seen = table.generation();               // before Find
//   Rights rights = Decide(table.Find(fs).get(), request);
// and later, whenever it asks for something:
//   if (table.generation() != seen) …decide again…
//
// Threads: any. generation() is one load, so that it can be asked by each request; Find takes a
// reader's lock for the time of a hash lookup, and no decision is made under it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <shared_mutex>
#include <unordered_map>

#include "server/policy/policy.h"

namespace tarn::policy {

using PolicyPtr = std::shared_ptr<const Policy>;

class Table {
 public:
  // Null: the file system has no policy. `file_system` is the engine's number (nfs4::Export).
  PolicyPtr Find(uint32_t file_system) const;

  // Another number after each Set. Who reads the number first and then a policy never holds a
  // policy older than the number says.
  uint64_t generation() const { return generation_.load(std::memory_order_acquire); }

  // In force for all that look from now on; null: no policy.
  void Set(uint32_t file_system, PolicyPtr policy);

 private:
  mutable std::shared_mutex mutex_;
  std::unordered_map<uint32_t, PolicyPtr> policies_;
  std::atomic<uint64_t> generation_{1};
};

}  // namespace tarn::policy
