// VolumeRecords: one small file for each mount that says how it was made, for its repair when its
// FUSE process died. What is mounted is never read from here. No secret is ever in it.
//
// Thread-safe for different keys.
#pragma once

#include <string>
#include <vector>

#include "csi/node/plan.h"

namespace tarn::csi {

struct VolumeRecord {
  StageRequest stage;
  std::string target_path;  // where it is mounted: the staging path, or the pod's
  bool read_only = false;
};

class VolumeRecords {
 public:
  static constexpr size_t kRecordsMax = 10'000;

  // Made when it is not there.
  explicit VolumeRecords(std::string directory) : directory_(std::move(directory)) {}

  // An error names the file.
  Result<void> Write(const std::string& key, const VolumeRecord& record) const;
  void Remove(const std::string& key) const;
  bool Has(const std::string& key) const;
  // Those that can be read.
  std::vector<VolumeRecord> ReadAll() const;

 private:
  std::string PathOf(const std::string& key) const;

  const std::string directory_;
};

}  // namespace tarn::csi
