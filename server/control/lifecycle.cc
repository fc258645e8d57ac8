// PutLifecycleConfiguration, DescribeLifecycleConfiguration: stored and checked; what moves files
// reads it.
#include "server/control/errors.h"
#include "server/control/manager.h"
#include "server/control/validate.h"

namespace tarn::control {
namespace {

v1::LifecycleConfigurationDescription Describe(const records::FileSystem& record) {
  v1::LifecycleConfigurationDescription description;
  *description.mutable_lifecycle_policies() = record.lifecycle();
  auto warnings = CheckLifecycle(record.lifecycle());
  if (warnings.ok()) description.mutable_warnings()->Assign(warnings->begin(), warnings->end());
  return description;
}

}  // namespace

Result<v1::LifecycleConfigurationDescription> Manager::PutLifecycleConfiguration(
    const v1::PutLifecycleConfigurationRequest& request) {
  TRY(CheckLifecycle(request.lifecycle_policies()));
  std::lock_guard lock(mutex_);
  TRY(FileSystemPtr fs, FindAvailable(request.file_system_id()));
  const auto& description = fs->record.description();
  bool can_archive = description.throughput_mode() == "elastic" &&
                     description.performance_mode() == "generalPurpose";
  if (HasArchiveRule(request.lifecycle_policies()) && !can_archive) {
    return BadRequest(
        "transition_to_archive needs throughput_mode elastic and performance_mode "
        "generalPurpose: update the file system first");
  }
  records::FileSystem record = fs->record;
  *record.mutable_lifecycle() = request.lifecycle_policies();
  TRY(store_.Put(record));
  fs->record = std::move(record);
  return control::Describe(fs->record);
}

Result<v1::LifecycleConfigurationDescription> Manager::DescribeLifecycleConfiguration(
    const v1::DescribeLifecycleConfigurationRequest& request) {
  std::lock_guard lock(mutex_);
  TRY(FileSystemPtr fs, FindFileSystem(request.file_system_id()));
  return control::Describe(fs->record);
}

}  // namespace tarn::control
