// Realms: the realms of one file system, their usage and quotas, in memory. Usage here counts what
// callers see; the database counts what is stored, in the batch of each change.
//
// Threads: any; Charge takes no lock that is held over I/O.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <shared_mutex>
#include <vector>

#include "server/engine/local/format.h"
#include "server/engine/local/store.h"

namespace tarn::local {

struct Realm {
  vfs::RealmId id = 0;
  uint64_t root = 0;
  uint64_t root_generation = 0;
  std::atomic<Realm*> parent{nullptr};
  std::atomic<RealmState> state{RealmState::kLive};
  std::atomic<uint64_t> bytes_max{0};
  std::atomic<uint64_t> files_max{0};
  std::atomic<int64_t> bytes{0};
  std::atomic<int64_t> files{0};
  std::atomic<bool> erased{false};  // from the database

  RealmRecord Record() const;
};

class Realms {
 public:
  Realms(Store& store, uint32_t fs) : store_(store), fs_(fs) {}
  Result<void> Load();

  // Valid as long as this object; nullptr: never heard of.
  Realm* Find(vfs::RealmId id) const;
  // As Find, for realms that callers may name: kNotFound.
  Result<Realm*> FindLive(vfs::RealmId id) const;
  // The live realm whose root is this inode.
  Realm* FindByRoot(uint64_t inode) const;
  std::vector<Realm*> All() const;
  Realm* Add(vfs::RealmId id, const RealmRecord& record);

  // May a caller in realm `from` reach a file of realm `to`?
  bool Reaches(vfs::RealmId from, vfs::RealmId to) const;

  // Counts in the realm and all around it. kQuota: over a limit, and nothing is counted. A
  // decrease always succeeds.
  Result<void> Charge(vfs::RealmId id, int64_t bytes, int64_t files);
  // The same in the database.
  void Charge(Batch& batch, vfs::RealmId id, int64_t bytes, int64_t files) const;
  void Put(Batch& batch, const Realm& realm) const;

 private:
  Result<void> CheckNesting() const;

  Store& store_;
  const uint32_t fs_;
  mutable std::shared_mutex mutex_;
  std::map<vfs::RealmId, std::unique_ptr<Realm>> realms_;  // none is ever erased
};

}  // namespace tarn::local
