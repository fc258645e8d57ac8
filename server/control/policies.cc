// PutFileSystemPolicy, DescribeFileSystemPolicy, DeleteFileSystemPolicy.
#include <spdlog/spdlog.h>

#include "server/control/errors.h"
#include "server/control/manager.h"
#include "server/policy/arn.h"

namespace tarn::control {
namespace {

v1::FileSystemPolicyDescription Describe(const records::FileSystem& record) {
  v1::FileSystemPolicyDescription description;
  description.set_file_system_id(record.description().file_system_id());
  description.set_policy(record.policy());
  return description;
}

}  // namespace

std::string Manager::ArnOf(const FileSystem& fs) const {
  return policy::FileSystemArn(options_.region, options_.owner_id, fs.id());
}

std::string Manager::ArnOf(const AccessPoint& ap) const {
  return policy::AccessPointArn(options_.region, options_.owner_id,
                                ap.record.description().access_point_id());
}

// What was stored was checked, though perhaps by another version, or under another region: then it
// may not be known what it means, and nobody has access until it is replaced.
void Manager::EnforcePolicy(const FileSystem& fs) {
  if (fs.record.policy().empty()) return policies_.Set(fs.record.number(), nullptr);
  auto compiled = policy::Policy::Compile(fs.record.policy(), ArnOf(fs));
  if (!compiled.ok()) {
    spdlog::error("file system {}: all access is denied, since its policy is not understood: {}",
                  fs.id(), compiled.error().message());
  }
  policies_.Set(fs.record.number(), compiled.ok() ? *compiled : policy::Policy::DenyAll());
}

Result<v1::FileSystemPolicyDescription> Manager::PutFileSystemPolicy(
    const v1::PutFileSystemPolicyRequest& request) {
  std::lock_guard lock(mutex_);
  TRY(FileSystemPtr fs, FindMade(request.file_system_id()));
  TRY(policy::PolicyPtr compiled, policy::Policy::Compile(request.policy(), ArnOf(*fs)));
  if (!request.bypass_policy_lockout_safety_check() &&
      !compiled->EverAllows(policy::Action::kMount)) {
    return Error(Code::kInvalid,
                 "policy: nobody could mount the file system any more: add an Allow of "
                 "elasticfilesystem:ClientMount, or set bypass_policy_lockout_safety_check",
                 "InvalidPolicyException");
  }
  if (request.policy() == fs->record.policy()) return control::Describe(fs->record);
  records::FileSystem record = fs->record;
  record.set_policy(request.policy());
  TRY(store_.Put(record));
  fs->record = std::move(record);
  policies_.Set(fs->record.number(), std::move(compiled));
  return control::Describe(fs->record);
}

Result<v1::FileSystemPolicyDescription> Manager::DescribeFileSystemPolicy(
    const v1::DescribeFileSystemPolicyRequest& request) {
  std::lock_guard lock(mutex_);
  TRY(FileSystemPtr fs, FindFileSystem(request.file_system_id()));
  if (fs->record.policy().empty()) return PolicyNotFound(fs->id());
  return control::Describe(fs->record);
}

Result<v1::Empty> Manager::DeleteFileSystemPolicy(
    const v1::DeleteFileSystemPolicyRequest& request) {
  std::lock_guard lock(mutex_);
  TRY(FileSystemPtr fs, FindMade(request.file_system_id()));
  if (fs->record.policy().empty()) return v1::Empty();
  records::FileSystem record = fs->record;
  record.clear_policy();
  TRY(store_.Put(record));
  fs->record = std::move(record);
  policies_.Set(fs->record.number(), nullptr);
  return v1::Empty();
}

}  // namespace tarn::control
