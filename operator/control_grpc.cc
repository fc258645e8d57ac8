#include <algorithm>
#include <map>
#include <mutex>

#include "api/control.grpc.pb.h"
#include "common/grpc/channel.h"
#include "operator/control.h"

namespace tarn::op {
namespace {

namespace pb = control::v1;

// Channels kept open, one a file server. Above it the oldest by address goes; it is made again when
// needed.
constexpr size_t kMaxChannels = 1024;
constexpr int kPageSize = 1000;
constexpr int kMaxPages = 100;

AccessPointFacts Facts(const pb::AccessPointDescription& d) {
  return {d.access_point_id(), d.life_cycle_state(), d.quota_bytes(),
          d.quota_files(),     d.used_bytes(),       d.used_files()};
}

class GrpcControl : public ControlApi {
 public:
  void SetCredentials(const ClientPems& pems) override {
    std::lock_guard lock(mu_);
    rpcs::TlsPems next{pems.ca, pems.certificate, pems.key};
    if (next == pems_) return;
    pems_ = std::move(next);
    channels_.clear();
  }

  Result<FileSystemFacts> DescribeFileSystem(const std::string& address,
                                             const std::string& id) override {
    pb::DescribeFileSystemsRequest request;
    request.set_file_system_id(id);
    pb::DescribeFileSystemsResponse response;
    TRY(Call(address, &pb::Control::Stub::DescribeFileSystems, request, response));
    if (response.file_systems_size() == 0)
      return Error(Code::kNotFound, address + " does not serve " + id);
    const auto& d = response.file_systems(0);
    return FileSystemFacts{d.life_cycle_state(),
                           d.size_in_bytes().value(),
                           d.size_in_bytes().value_in_ia(),
                           d.size_in_bytes().value_in_standard(),
                           d.size_in_bytes().value_in_archive(),
                           d.size_in_bytes().timestamp(),
                           d.throughput_mode(),
                           d.provisioned_throughput_in_mibps(),
                           d.status_message()};
  }

  Result<Denials> DescribeDenials(const std::string& address, const std::string& id,
                                  uint64_t after) override {
    pb::DescribeAccessDecisionsRequest request;
    request.set_file_system_id(id);
    request.set_denied_only(true);
    request.set_after(after);
    pb::DescribeAccessDecisionsResponse response;
    TRY(Call(address, &pb::Control::Stub::DescribeAccessDecisions, request, response));
    Denials found{.denials = {}, .last = response.last()};
    for (const auto& d : response.decisions()) {
      found.denials.push_back({d.timestamp(), d.layer(), d.reason(), d.access_point_id(),
                               d.service_account(), d.pod(), d.source_ip()});
    }
    return found;
  }

  Result<void> UpdateThroughput(const std::string& address, const std::string& id,
                                const std::string& mode, double mibps) override {
    pb::UpdateFileSystemRequest request;
    request.set_file_system_id(id);
    request.set_throughput_mode(mode);
    request.set_provisioned_throughput_in_mibps(mibps);
    pb::FileSystemDescription response;
    return Call(address, &pb::Control::Stub::UpdateFileSystem, request, response);
  }

  Result<AccessPointFacts> CreateAccessPoint(const std::string& address,
                                             const AccessPointSpec& spec) override {
    pb::CreateAccessPointRequest request;
    request.set_client_token(spec.client_token);
    request.set_file_system_id(spec.file_system_id);
    request.set_quota_bytes(spec.quota_bytes);
    request.set_quota_files(spec.quota_files);
    for (const auto& [key, value] : spec.tags) {
      auto* tag = request.add_tags();
      tag->set_key(key);
      tag->set_value(value);
    }
    if (spec.user) {
      request.mutable_posix_user()->set_uid(spec.user->uid);
      request.mutable_posix_user()->set_gid(spec.user->gid);
      for (uint32_t gid : spec.user->secondary_gids)
        request.mutable_posix_user()->add_secondary_gids(gid);
    }
    request.mutable_root_directory()->set_path(spec.path);
    if (spec.creation) {
      auto* info = request.mutable_root_directory()->mutable_creation_info();
      info->set_owner_uid(spec.creation->uid);
      info->set_owner_gid(spec.creation->gid);
      info->set_permissions(spec.creation->permissions);
    }
    pb::AccessPointDescription response;
    TRY(Call(address, &pb::Control::Stub::CreateAccessPoint, request, response));
    return Facts(response);
  }

  Result<AccessPointFacts> DescribeAccessPoint(const std::string& address,
                                               const std::string& id) override {
    pb::DescribeAccessPointsRequest request;
    request.set_access_point_id(id);
    pb::DescribeAccessPointsResponse response;
    TRY(Call(address, &pb::Control::Stub::DescribeAccessPoints, request, response));
    if (response.access_points_size() == 0)
      return Error(Code::kNotFound, address + " has no access point " + id);
    return Facts(response.access_points(0));
  }

  Result<AccessPointFacts> FindAccessPoint(const std::string& address,
                                           const std::string& file_system_id,
                                           const std::string& client_token) override {
    pb::DescribeAccessPointsRequest request;
    request.set_file_system_id(file_system_id);
    request.set_max_results(kPageSize);
    for (int page = 0; page < kMaxPages; ++page) {
      pb::DescribeAccessPointsResponse response;
      TRY(Call(address, &pb::Control::Stub::DescribeAccessPoints, request, response));
      for (const auto& d : response.access_points()) {
        if (d.client_token() == client_token) return Facts(d);
      }
      if (response.next_token().empty()) break;
      request.set_next_token(response.next_token());
    }
    return Error(Code::kNotFound, address + " has no access point of token " + client_token);
  }

  Result<AccessPointFacts> UpdateAccessPoint(const std::string& address, const std::string& id,
                                             uint64_t quota_bytes, uint64_t quota_files) override {
    pb::UpdateAccessPointRequest request;
    request.set_access_point_id(id);
    request.set_quota_bytes(quota_bytes);
    request.set_quota_files(quota_files);
    pb::AccessPointDescription response;
    TRY(Call(address, &pb::Control::Stub::UpdateAccessPoint, request, response));
    return Facts(response);
  }

  Result<void> DeleteAccessPoint(const std::string& address, const std::string& id,
                                 bool with_root) override {
    pb::DeleteAccessPointRequest request;
    request.set_access_point_id(id);
    request.set_delete_root_directory(with_root);
    pb::Empty response;
    return Call(address, &pb::Control::Stub::DeleteAccessPoint, request, response);
  }

  Result<void> PutLifecycle(const std::string& address, const std::string& id,
                            const LifecycleRules& rules) override {
    pb::PutLifecycleConfigurationRequest request;
    request.set_file_system_id(id);
    if (!rules.to_ia.empty()) request.add_lifecycle_policies()->set_transition_to_ia(rules.to_ia);
    if (!rules.to_archive.empty())
      request.add_lifecycle_policies()->set_transition_to_archive(rules.to_archive);
    if (!rules.to_primary.empty()) {
      request.add_lifecycle_policies()->set_transition_to_primary_storage_class(rules.to_primary);
    }
    pb::LifecycleConfigurationDescription response;
    return Call(address, &pb::Control::Stub::PutLifecycleConfiguration, request, response);
  }

  Result<void> SetPolicy(const std::string& address, const std::string& id,
                         const std::string& policy) override {
    if (policy.empty()) {
      pb::DeleteFileSystemPolicyRequest request;
      request.set_file_system_id(id);
      pb::Empty response;
      return Call(address, &pb::Control::Stub::DeleteFileSystemPolicy, request, response);
    }
    // Looked at first: each change is a line in the server's audit log.
    pb::DescribeFileSystemPolicyRequest describe;
    describe.set_file_system_id(id);
    pb::FileSystemPolicyDescription there;
    auto found = Call(address, &pb::Control::Stub::DescribeFileSystemPolicy, describe, there);
    if (found.ok() && there.policy() == policy) return Ok();
    if (!found.ok() && found.error().api_name() != "PolicyNotFound") return found;
    pb::PutFileSystemPolicyRequest request;
    request.set_file_system_id(id);
    request.set_policy(policy);
    return Call(address, &pb::Control::Stub::PutFileSystemPolicy, request, there);
  }

  Result<void> SetTags(const std::string& address, const std::string& id,
                       const Tags& tags) override {
    std::map<std::string, std::string> missing(tags.begin(), tags.end());
    pb::UntagResourceRequest untag;
    pb::ListTagsForResourceRequest list;
    list.set_resource_id(id);
    for (int page = 0; page < kMaxPages; ++page) {
      pb::ListTagsForResourceResponse there;
      TRY(Call(address, &pb::Control::Stub::ListTagsForResource, list, there));
      for (const auto& tag : there.tags()) {
        auto wanted = missing.find(tag.key());
        if (wanted == missing.end()) {
          if (!tag.key().starts_with("aws:")) untag.add_tag_keys(tag.key());
        } else if (wanted->second == tag.value()) {
          missing.erase(wanted);
        }
      }
      if (there.next_token().empty()) break;
      list.set_next_token(there.next_token());
    }
    pb::Empty done;
    if (untag.tag_keys_size() > 0) {
      untag.set_resource_id(id);
      TRY(Call(address, &pb::Control::Stub::UntagResource, untag, done));
    }
    if (missing.empty()) return Ok();
    pb::TagResourceRequest request;
    request.set_resource_id(id);
    for (const auto& [key, value] : missing) {
      auto* tag = request.add_tags();
      tag->set_key(key);
      tag->set_value(value);
    }
    return Call(address, &pb::Control::Stub::TagResource, request, done);
  }

  Result<void> SetSecurityGroups(const std::string& address, const std::string& file_system_id,
                                 const std::string& mount_target_id,
                                 const std::vector<std::string>& ranges) override {
    pb::DescribeMountTargetSecurityGroupsRequest ask;
    ask.set_mount_target_id(mount_target_id);
    pb::DescribeMountTargetSecurityGroupsResponse has;
    auto known = Call(address, &pb::Control::Stub::DescribeMountTargetSecurityGroups, ask, has);
    if (known.code() == Code::kNotFound) {
      pb::CreateMountTargetRequest request;
      request.set_file_system_id(file_system_id);
      request.set_mount_target_id(mount_target_id);
      request.mutable_security_groups()->Add(ranges.begin(), ranges.end());
      pb::MountTargetDescription made;
      return Call(address, &pb::Control::Stub::CreateMountTarget, request, made);
    }
    if (!known.ok()) return known.error();
    if (std::equal(ranges.begin(), ranges.end(), has.security_groups().begin(),
                   has.security_groups().end())) {
      return Ok();
    }
    pb::ModifyMountTargetSecurityGroupsRequest request;
    request.set_mount_target_id(mount_target_id);
    request.mutable_security_groups()->Add(ranges.begin(), ranges.end());
    pb::Empty done;
    return Call(address, &pb::Control::Stub::ModifyMountTargetSecurityGroups, request, done);
  }

 private:
  template <typename Request, typename Response>
  using Method = grpc::Status (pb::Control::Stub::*)(grpc::ClientContext*, const Request&,
                                                     Response*);

  template <typename Request, typename Response>
  Result<void> Call(const std::string& address, Method<Request, Response> method,
                    const Request& request, Response& response) {
    TRY(std::shared_ptr<grpc::Channel> channel, ChannelTo(address));
    auto stub = pb::Control::NewStub(channel);
    return rpcs::Call(*stub, method, request, response, kControlTimeout, address);
  }

  Result<std::shared_ptr<grpc::Channel>> ChannelTo(const std::string& address) {
    std::lock_guard lock(mu_);
    auto it = channels_.find(address);
    if (it != channels_.end()) return it->second;
    if (pems_.certificate.empty()) {
      return Error(Code::kUnavailable, address + ": the client certificate is not made yet");
    }
    TRY(std::shared_ptr<grpc::Channel> channel, rpcs::OpenChannel(address, pems_));
    if (channels_.size() >= kMaxChannels) channels_.erase(channels_.begin());
    channels_[address] = channel;
    return channel;
  }

  std::mutex mu_;
  rpcs::TlsPems pems_;
  std::map<std::string, std::shared_ptr<grpc::Channel>> channels_;
};

}  // namespace

std::unique_ptr<ControlApi> NewGrpcControl() {
  return std::make_unique<GrpcControl>();
}

}  // namespace tarn::op
