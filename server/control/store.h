// The control API's durable records, one a resource, in the engine's record store.
//
// Each change is one Put or Delete, so a crash leaves the old or the new resource. Operations of
// several steps keep a life cycle state in the record and are finished at the next start. Threads:
// the caller serialises (Manager's mutex).
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "common/result.h"
#include "server/control/records.pb.h"
#include "server/vfs/file_system.h"

namespace tarn::control {

class Store {
 public:
  explicit Store(vfs::RecordStore& records) : records_(records) {}

  struct Visitor {
    std::function<void(records::FileSystem)> file_system;
    std::function<void(records::MountTarget)> mount_target;
    std::function<void(records::AccessPoint)> access_point;
  };
  // Reads everything, file systems first. kCorrupt: a record that does not parse, by its key.
  Result<void> Load(const Visitor& visitor);

  Result<void> Put(const records::FileSystem& record);
  Result<void> Put(const records::MountTarget& record);
  Result<void> Put(const records::AccessPoint& record);
  Result<void> Delete(const records::FileSystem& record);
  Result<void> Delete(const records::MountTarget& record);
  Result<void> Delete(const records::AccessPoint& record);

  // When the last scrub of all ended, in seconds since 1970; 0: never.
  Result<int64_t> Scrubbed();
  Result<void> PutScrubbed(int64_t seconds);

  // Never gives a number twice, over restarts too; some are skipped at each.
  Result<uint64_t> NextNumber();

 private:
  vfs::RecordStore& records_;
  uint64_t next_ = 0;
  uint64_t reserved_ = 0;  // numbers below it are written down as given
};

}  // namespace tarn::control
