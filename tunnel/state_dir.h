// The state directory: what outlives this process. It holds private keys: mode 0700, its files
// 0600, and it belongs in memory (tmpfs). A file is replaced whole or not at all.
//
// Threads: one at a time.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "api/tunnel.pb.h"
#include "common/result.h"
#include "tunnel/addresses.h"

namespace tarn::tunnel {

struct MountRecord {
  v1::OpenMountRequest request;  // wiped when it is destroyed
  LocalAddress at;
  MountRecord() = default;
  MountRecord(MountRecord&&) = default;
  MountRecord& operator=(MountRecord&&) = default;
  ~MountRecord();
};

// Overwrites the private key of a request that is not needed any more.
void WipeRequest(v1::OpenMountRequest& request);

class StateDir {
 public:
  // Makes it if need be. kUnavailable: why it cannot be used, such as others owning it.
  static Result<StateDir> Open(const std::string& path);

  Result<void> Put(const v1::OpenMountRequest& request, const LocalAddress& at) const;
  Result<void> Remove(const std::string& mount_id) const;
  // What cannot be read is logged, left, and left out.
  Result<std::vector<MountRecord>> Load() const;
  // The directory's lock: one process at a time serves its mounts. Not open: another one does.
  Result<Fd> Lock() const;

  const std::string& path() const { return path_; }
  std::string HandOverSocket() const { return path_ + "/handover.sock"; }

 private:
  explicit StateDir(std::string path) : path_(std::move(path)) {}
  std::string MountsDir() const { return path_ + "/mounts"; }

  std::string path_;
};

}  // namespace tarn::tunnel
