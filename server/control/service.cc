#include "server/control/service.h"

#include <grpcpp/server_context.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "api/control.grpc.pb.h"
#include "common/grpc/status.h"
#include "server/audit/log.h"
#include "server/control/authorisation.h"
#include "server/control/manager.h"

namespace tarn::control {
namespace {

// The resource that a request is about: the most specific id (or token) it has.
template <typename Request>
std::string Resource(const Request& request) {
  if constexpr (requires { request.resource_id(); }) return request.resource_id();
  if constexpr (requires { request.access_point_id(); }) {
    if (!request.access_point_id().empty()) return request.access_point_id();
  }
  if constexpr (requires { request.mount_target_id(); }) {
    if (!request.mount_target_id().empty()) return request.mount_target_id();
  }
  if constexpr (requires { request.file_system_id(); }) {
    if (!request.file_system_id().empty()) return request.file_system_id();
  }
  if constexpr (requires { request.creation_token(); }) return request.creation_token();
  return "";
}

// The id of what a creation made.
template <typename Response>
std::string MadeId(const Response& response) {
  if constexpr (requires { response.access_point_id(); }) return response.access_point_id();
  if constexpr (requires { response.mount_target_id(); }) return response.mount_target_id();
  if constexpr (requires { response.file_system_id(); }) return response.file_system_id();
  return "";
}

bool IsRead(std::string_view operation) {
  return operation.starts_with("Describe") || operation.starts_with("List") ||
         operation.starts_with("Explain");
}

class Service final : public v1::Control::Service {
 public:
  explicit Service(Manager& manager) : manager_(manager) {}

 private:
  template <typename Request, typename Response>
  grpc::Status Run(std::string_view operation, grpc::ServerContext& context,
                   Result<Response> (Manager::*method)(const Request&), const Request& request,
                   Response& response) {
    auto begin = std::chrono::steady_clock::now();
    const Caller caller = CallerOf(context.auth_context().get(), context.peer());
    const Result<void> authorised = Authorise(caller, operation);
    Result<Response> result =
        authorised.ok() ? (manager_.*method)(request) : Result<Response>(authorised.error());
    auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::steady_clock::now() - begin);
    auto level = result.ok() && IsRead(operation) ? spdlog::level::debug : spdlog::level::info;
    if (audit::Wanted(level)) {
      nlohmann::ordered_json line{{"audit", operation},
                                  {"who", caller.who},
                                  {"role", NameOf(caller.role)},
                                  {"peer", context.peer()},
                                  {"resource", Resource(request)}};
      std::string made = result.ok() ? MadeId(*result) : "";
      if (!made.empty() && !IsRead(operation)) line["made"] = made;
      if (!authorised.ok()) line["layer"] = "role";
      line["result"] = "ok";
      if (!result.ok()) {
        const Error& error = result.error();
        line["result"] = error.api_name().empty() ? CodeName(error.code()) : error.api_name();
        line["message"] = error.message();
      }
      line["ms"] = took.count();
      audit::Write(level, line);
    }
    if (!result.ok()) return rpcs::ToStatus(result.error(), context);
    response = std::move(result).value();
    return {};
  }

#define TARN_OPERATION(NAME, RESPONSE)                                                   \
  grpc::Status NAME(grpc::ServerContext* context, const v1::NAME##Request* request,      \
                    v1::RESPONSE* response) override {                                   \
    static_assert(LeastRole(#NAME).has_value(), "authorisation.h says who may call it"); \
    return Run(#NAME, *context, &Manager::NAME, *request, *response);                    \
  }
  TARN_OPERATION(CreateFileSystem, FileSystemDescription)
  TARN_OPERATION(DescribeFileSystems, DescribeFileSystemsResponse)
  TARN_OPERATION(UpdateFileSystem, FileSystemDescription)
  TARN_OPERATION(DeleteFileSystem, Empty)
  TARN_OPERATION(CreateMountTarget, MountTargetDescription)
  TARN_OPERATION(DescribeMountTargets, DescribeMountTargetsResponse)
  TARN_OPERATION(DeleteMountTarget, Empty)
  TARN_OPERATION(ModifyMountTargetSecurityGroups, Empty)
  TARN_OPERATION(DescribeMountTargetSecurityGroups, DescribeMountTargetSecurityGroupsResponse)
  TARN_OPERATION(CreateAccessPoint, AccessPointDescription)
  TARN_OPERATION(DescribeAccessPoints, DescribeAccessPointsResponse)
  TARN_OPERATION(UpdateAccessPoint, AccessPointDescription)
  TARN_OPERATION(DeleteAccessPoint, Empty)
  TARN_OPERATION(PutLifecycleConfiguration, LifecycleConfigurationDescription)
  TARN_OPERATION(DescribeLifecycleConfiguration, LifecycleConfigurationDescription)
  TARN_OPERATION(PutFileSystemPolicy, FileSystemPolicyDescription)
  TARN_OPERATION(DescribeFileSystemPolicy, FileSystemPolicyDescription)
  TARN_OPERATION(DeleteFileSystemPolicy, Empty)
  TARN_OPERATION(TagResource, Empty)
  TARN_OPERATION(UntagResource, Empty)
  TARN_OPERATION(ListTagsForResource, ListTagsForResourceResponse)
  TARN_OPERATION(DescribeKeys, DescribeKeysResponse)
  TARN_OPERATION(RewrapDataKey, FileSystemDescription)
  TARN_OPERATION(DescribeAccessDecisions, DescribeAccessDecisionsResponse)
  TARN_OPERATION(ExplainAccess, ExplainAccessResponse)
  TARN_OPERATION(Fsck, FsckReport)
  TARN_OPERATION(StartScrub, ScrubReport)
  TARN_OPERATION(DescribeScrub, ScrubReport)
  TARN_OPERATION(StopScrub, ScrubReport)
#undef TARN_OPERATION

  Manager& manager_;
};

}  // namespace

std::unique_ptr<grpc::Service> NewService(Manager& manager) {
  return std::make_unique<Service>(manager);
}

}  // namespace tarn::control
