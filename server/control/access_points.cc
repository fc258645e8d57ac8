// CreateAccessPoint, DescribeAccessPoints, UpdateAccessPoint, DeleteAccessPoint.
#include <algorithm>
#include <set>

#include "common/ids.h"
#include "server/control/errors.h"
#include "server/control/manager.h"
#include "server/control/tags.h"
#include "server/control/validate.h"

namespace tarn::control {
namespace {

bool HasGidRange(const v1::CreateAccessPointRequest& request) {
  return request.gid_range_start() != 0 || request.gid_range_end() != 0;
}

// The request as it is compared with a repetition; tags may have changed since.
v1::CreateAccessPointRequest Normalised(const v1::CreateAccessPointRequest& request) {
  v1::CreateAccessPointRequest normal = request;
  if (normal.root_directory().path().empty()) normal.mutable_root_directory()->set_path("/");
  normal.clear_tags();
  return normal;
}

Result<void> CheckGidRange(const v1::CreateAccessPointRequest& request) {
  if (!HasGidRange(request)) {
    if (!request.has_fixed_uid() && !request.has_fixed_gid()) return Ok();
    return BadRequest("fixed_uid and fixed_gid need a gid range: use posix_user");
  }
  if (request.has_posix_user()) {
    return BadRequest("posix_user and a gid range exclude each other: leave out one");
  }
  if (request.gid_range_start() == 0) return BadRequest("gid_range_start must be greater than 0");
  if (request.gid_range_end() < request.gid_range_start()) {
    return BadRequest("gid_range_end must not be less than gid_range_start");
  }
  return Ok();
}

Result<void> CheckCreate(const v1::CreateAccessPointRequest& request) {
  TRY(CheckToken("client_token", request.client_token()));
  TRY(CheckId("file_system_id", kFileSystemPrefix, request.file_system_id()));
  TRY(CheckTags(request.tags()));
  if (request.has_posix_user()) TRY(CheckPosixUser(request.posix_user()));
  const auto& root = request.root_directory();
  if (!root.path().empty()) TRY(CheckPath(root.path()));
  if (root.has_creation_info()) TRY(ParsePermissions(root.creation_info().permissions()));
  return CheckGidRange(request);
}

// Its gid, and its uid since a range gives one number for both.
void CountNumbers(std::map<uint32_t, size_t>& numbers,
                  const v1::AccessPointDescription& description, bool add) {
  if (!description.has_posix_user()) return;
  for (uint32_t number : std::set{description.posix_user().gid(), description.posix_user().uid()}) {
    if (add) {
      ++numbers[number];
    } else if (--numbers[number] == 0) {
      numbers.erase(number);
    }
  }
}

// What statfs shows in the access point.
void ShowSpace(const vfs::SpaceInfo& space, v1::AccessPointDescription& description) {
  description.set_total_bytes(space.bytes_total);
  description.set_free_bytes(space.bytes_free);
  description.set_total_files(space.files_total);
  description.set_free_files(space.files_free);
}

}  // namespace

Result<Manager::AccessPointPtr> Manager::FindAccessPoint(const std::string& id) {
  TRY(CheckId("access_point_id", kAccessPointPrefix, id));
  auto found = access_points_.find(id);
  if (found != access_points_.end()) return found->second;
  if (auto sealed = sealed_.find(id); sealed != sealed_.end()) return BeingLocked(*sealed->second);
  return AccessPointNotFound(id);
}

void Manager::Insert(const AccessPointPtr& ap) {
  FileSystem& fs = *ap->file_system;
  const auto& description = ap->record.description();
  access_points_[description.access_point_id()] = ap;
  access_point_tokens_[description.client_token()] = description.access_point_id();
  fs.access_points[description.access_point_id()] = ap;
  fs.by_path.emplace(description.root_directory().path(), ap.get());
  CountNumbers(fs.numbers, description, true);
  if (description.life_cycle_state() != "available" || fs.engine == nullptr) return;
  exports_.AddName(fs.record.number(), description.access_point_id(), ap->record.number());
  if (ap->record.realm() != 0) PublishAccessPoint(*ap);
}

void Manager::Erase(const AccessPointPtr& ap) {
  FileSystem& fs = *ap->file_system;
  const std::string& id = ap->record.description().access_point_id();
  exports_.RemoveName(fs.record.number(), id);
  exports_.Withdraw(fs.record.number(), ap->record.number());
  // Another object stands for it when it was locked meanwhile, and maybe unlocked again.
  if (sealed_.erase(id) > 0) {
    std::erase_if(fs.sealed, [&](const AccessPointPtr& sealed) {
      return sealed->record.description().access_point_id() == id;
    });
  }
  auto now = access_points_.find(id);
  if (now != access_points_.end()) Forget(AccessPointPtr(now->second));
}

void Manager::Forget(const AccessPointPtr& ap) {
  FileSystem& fs = *ap->file_system;
  const auto& description = ap->record.description();
  auto [begin, end] = fs.by_path.equal_range(description.root_directory().path());
  for (auto at = begin; at != end; ++at) {
    if (at->second == ap.get()) {
      fs.by_path.erase(at);
      break;
    }
  }
  CountNumbers(fs.numbers, description, false);
  access_point_tokens_.erase(description.client_token());
  access_points_.erase(description.access_point_id());
  fs.access_points.erase(description.access_point_id());
}

// The lowest free one, for it and for the uid, so that two calls never get the same: the caller
// holds the mutex until the access point is in the table.
Result<void> Manager::TakeGid(FileSystem& fs, v1::CreateAccessPointRequest& request) {
  if (!HasGidRange(request)) return Ok();
  uint64_t free = request.gid_range_start();
  for (auto at = fs.numbers.lower_bound(request.gid_range_start());
       at != fs.numbers.end() && at->first == free; ++at) {
    ++free;
  }
  bool fixed = request.has_fixed_uid() && request.has_fixed_gid();
  if (!fixed && free > request.gid_range_end()) {
    return AccessPointLimitExceeded(
        "no gid of the range " + std::to_string(request.gid_range_start()) + " to " +
        std::to_string(request.gid_range_end()) + " is free in file system '" + fs.id() +
        "': widen the range or delete access points");
  }
  auto number = static_cast<uint32_t>(free);
  auto& user = *request.mutable_posix_user();
  user.set_gid(request.has_fixed_gid() ? request.fixed_gid() : number);
  user.set_uid(request.has_fixed_uid() ? request.fixed_uid() : number);
  if (!request.root_directory().has_creation_info()) return Ok();
  auto& creation = *request.mutable_root_directory()->mutable_creation_info();
  if (creation.owner_uid() == 0) creation.set_owner_uid(user.uid());
  if (creation.owner_gid() == 0) creation.set_owner_gid(user.gid());
  return Ok();
}

Result<v1::AccessPointDescription> Manager::CreateAccessPoint(
    const v1::CreateAccessPointRequest& request) {
  TRY(CheckCreate(request));
  AccessPointPtr ap;
  {
    std::lock_guard lock(mutex_);
    auto known = access_point_tokens_.find(request.client_token());
    if (known != access_point_tokens_.end()) {
      ap = access_points_.at(known->second);
      const auto& there = ap->record;
      bool same = Normalised(request).SerializeAsString() == there.request().SerializeAsString();
      if (!same || there.description().life_cycle_state() != "available") {
        return AccessPointAlreadyExists(known->second, request.client_token());
      }
    } else {
      TRY(ap, NewAccessPoint(request));
    }
  }
  return Describe(ap);
}

Result<Manager::AccessPointPtr> Manager::NewAccessPoint(
    const v1::CreateAccessPointRequest& request) {
  TRY(FileSystemPtr fs, FindAvailable(request.file_system_id()));
  if (fs->access_points.size() >= options_.access_points_max) {
    return AccessPointLimitExceeded("file system '" + fs->id() + "' has " +
                                    std::to_string(fs->access_points.size()) +
                                    " access points, the most that are allowed");
  }
  auto ap = std::make_shared<AccessPoint>();
  ap->file_system = fs;
  v1::CreateAccessPointRequest normal = Normalised(request);
  *ap->record.mutable_request() = normal;
  TRY(TakeGid(*fs, normal));
  auto& description = *ap->record.mutable_description();
  description.set_client_token(normal.client_token());
  description.set_access_point_id(MintId(kAccessPointPrefix));
  description.set_file_system_id(fs->id());
  if (normal.has_posix_user()) *description.mutable_posix_user() = normal.posix_user();
  *description.mutable_root_directory() = normal.root_directory();
  description.set_owner_id(options_.owner_id);
  description.set_life_cycle_state("available");
  description.set_quota_bytes(normal.quota_bytes());
  description.set_quota_files(normal.quota_files());
  *description.mutable_tags() = request.tags();
  description.set_name(NameTag(request.tags()));
  TRY(uint64_t number, store_.NextNumber());
  ap->record.set_number(number);
  TRY(Put(*fs, ap->record));
  Insert(ap);
  return ap;
}

v1::AccessPointDescription Manager::Describe(const AccessPointPtr& ap) {
  v1::AccessPointDescription description;
  vfs::RealmId realm = 0;
  vfs::FileSystem* engine = nullptr;
  {
    std::lock_guard lock(mutex_);
    description = ap->record.description();
    description.set_access_point_arn(ArnOf(*ap));
    realm = ap->record.realm();
    engine = ap->file_system->engine;
  }
  if (engine == nullptr) return description;
  // Before its first use an access point is empty, and has what its quota or the file system give.
  auto space = engine->GetSpace(realm == 0 ? vfs::kRootRealm : realm);
  if (!space.ok()) return description;
  if (realm == 0) {
    if (description.quota_bytes() != 0) {
      space->bytes_total = description.quota_bytes();
      space->bytes_free = std::min(space->bytes_free, description.quota_bytes());
    }
    if (description.quota_files() != 0) {
      space->files_total = description.quota_files();
      space->files_free = std::min(space->files_free, description.quota_files());
    }
  } else {
    description.set_used_bytes(space->usage.bytes);
    description.set_used_files(space->usage.files);
  }
  ShowSpace(*space, description);
  return description;
}

Result<v1::DescribeAccessPointsResponse> Manager::DescribeAccessPoints(
    const v1::DescribeAccessPointsRequest& request) {
  TRY(uint32_t page, PageSize("max_results", request.max_results()));
  if (!request.access_point_id().empty() && !request.file_system_id().empty()) {
    return BadRequest("Must specify exactly one mutually exclusive parameter.");
  }
  std::vector<AccessPointPtr> found;
  std::string next;
  {
    std::lock_guard lock(mutex_);
    const auto* all = &access_points_;
    if (!request.access_point_id().empty()) {
      TRY(AccessPointPtr ap, FindAccessPoint(request.access_point_id()));
      found.push_back(ap);
    } else {
      if (!request.file_system_id().empty()) {
        TRY(FileSystemPtr fs, FindFileSystem(request.file_system_id()));
        if (!fs->sealed.empty()) TRY(CheckUnlocked(*fs));
        all = &fs->access_points;
      }
      for (auto at = all->upper_bound(request.next_token()); at != all->end(); ++at) {
        if (found.size() == page) {
          next = std::prev(at)->first;
          break;
        }
        found.push_back(at->second);
      }
    }
  }
  v1::DescribeAccessPointsResponse response;
  for (const AccessPointPtr& ap : found) *response.add_access_points() = Describe(ap);
  response.set_next_token(next);
  return response;
}

}  // namespace tarn::control
