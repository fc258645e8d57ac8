// The CSI controller against the real control service over the memory engine: what the tests share.
#pragma once

#include <gmock/gmock.h>
#include <grpcpp/impl/codegen/service_type.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "common/control_role.h"
#include "common/grpc/server.h"
#include "common/grpc/testing/certificates.h"
#include "csi/controller/controller_service.h"
#include "csi/volume_context.h"
#include "operator/kube/testing/fake_cluster.h"
#include "operator/kube/text.h"
#include "server/control/manager.h"
#include "server/control/service.h"
#include "server/engine/memory/memory_engine.h"

namespace tarn::csi {
namespace pb = ::csi::v1;
using AccessMode = pb::VolumeCapability::AccessMode;
using grpc::StatusCode;
using testing::HasSubstr;

inline constexpr char kFs[] = "fs-0123456789abcdef0";
inline constexpr int64_t kGiB = 1 << 30;

struct ControllerTest : testing::Test {
  ControllerTest() {
    rpcs::TestAuthority authority;
    authority.Issue(dir + "/server");
    authority.Issue(dir + "/client", {.uris = {UriOf(ControlRole::kProvisioner)}});
    StartServer();
    PutEntry(kFs, "shared");
  }
  ~ControllerTest() override {
    server.reset();
    std::filesystem::remove_all(dir);
  }

  void StartServer() {
    if (manager == nullptr) {
      engine = engine::NewMemoryEngine(clock);
      auto opened = control::Manager::Open(*engine, clock, {});
      EXPECT_TRUE(opened.ok());
      manager = std::move(*opened);
      EXPECT_TRUE(manager->EnsureDefaultFileSystem(kFs).ok());
      control_service = control::NewService(*manager);
    }
    auto started =
        rpcs::Server::Start({{control_address, dir + "/server", 0}}, {control_service.get()});
    ASSERT_TRUE(started.ok()) << started.error().message();
    server = std::move(*started);
    control_address = "127.0.0.1:" + std::to_string(server->port(0));
  }
  void PutEntry(const std::string& id, const std::string& name) {
    kube::Json entry = {
        {"fileSystemId", id},     {"namespace", "default"},
        {"name", name},           {"control", control_address},
        {"nfs", "10.0.0.1:2049"}, {"mountTargets", {{{"zone", "a"}, {"nfs", "10.0.0.2:2049"}}}}};
    registry_map["data"][id + ".json"] = entry.dump();
    registry_map["metadata"] = {{"name", "tarn-file-systems"}, {"namespace", "tarn"}};
    cluster.Put("/api/v1/namespaces/tarn/configmaps", registry_map);
  }

  pb::CreateVolumeRequest Request(const std::string& name, int64_t bytes = kGiB) {
    pb::CreateVolumeRequest request;
    request.set_name(name);
    request.mutable_capacity_range()->set_required_bytes(bytes);
    auto* capability = request.add_volume_capabilities();
    capability->mutable_mount();
    capability->mutable_access_mode()->set_mode(AccessMode::MULTI_NODE_MULTI_WRITER);
    auto& parameters = *request.mutable_parameters();
    parameters["provisioningMode"] = "efs-ap";
    parameters["fileSystemId"] = kFs;
    parameters["csi.storage.k8s.io/pvc/name"] = "claim-" + name;
    parameters["csi.storage.k8s.io/pvc/namespace"] = "team";
    return request;
  }
  grpc::Status Create(const pb::CreateVolumeRequest& request, pb::Volume* volume = nullptr) {
    pb::CreateVolumeResponse response;
    auto status = service.CreateVolume(nullptr, &request, &response);
    if (volume != nullptr) *volume = response.volume();
    return status;
  }
  grpc::Status Delete(const std::string& id) {
    pb::DeleteVolumeRequest request;
    request.set_volume_id(id);
    pb::DeleteVolumeResponse response;
    return service.DeleteVolume(nullptr, &request, &response);
  }
  grpc::Status Expand(const std::string& id, int64_t bytes, int64_t* capacity = nullptr) {
    pb::ControllerExpandVolumeRequest request;
    request.set_volume_id(id);
    request.mutable_capacity_range()->set_required_bytes(bytes);
    pb::ControllerExpandVolumeResponse response;
    auto status = service.ControllerExpandVolume(nullptr, &request, &response);
    if (capacity != nullptr) *capacity = response.capacity_bytes();
    return status;
  }
  std::vector<control_pb::AccessPointDescription> AccessPoints() {
    control_pb::DescribeAccessPointsRequest request;
    request.set_file_system_id(kFs);
    request.set_max_results(1000);
    auto response = manager->DescribeAccessPoints(request);
    EXPECT_TRUE(response.ok());
    return {response->access_points().begin(), response->access_points().end()};
  }
  control_pb::AccessPointDescription Of(const pb::Volume& volume) {
    auto id = ParseVolumeId(volume.volume_id());
    for (const auto& one : AccessPoints()) {
      if (id.ok() && one.access_point_id() == id->access_point_id) return one;
    }
    ADD_FAILURE() << "no access point for " << volume.volume_id();
    return {};
  }

  static std::string TemporaryDir() {
    std::string name = "/tmp/tarn-csi-XXXXXX";
    return mkdtemp(name.data());
  }

  std::string dir = TemporaryDir();
  std::string control_address = "127.0.0.1:0";
  ManualClock clock;
  std::unique_ptr<vfs::Engine> engine;
  std::unique_ptr<control::Manager> manager;
  std::unique_ptr<grpc::Service> control_service;
  std::unique_ptr<rpcs::Server> server;

  kube::Json registry_map;
  kube::FakeCluster cluster;
  kube::Client client{cluster};
  std::unique_ptr<ClusterReader> reader = NewClusterReader(client);
  Registry registry{ConfigMapSource(*reader, "tarn", "tarn-file-systems")};
  // With the rights that the controller has on a cluster.
  ControlServers servers{dir + "/client"};
  ControllerService service{
      registry,
      servers,
      reader.get(),
      {"efs.csi.tarn.dev", true, {{"team", "blue"}}, std::chrono::seconds(5)}};
};

}  // namespace tarn::csi
