// The CSI controller against the real control service over the memory engine.
#include <gmock/gmock.h>
#include <grpcpp/impl/codegen/service_type.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

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
namespace {

namespace pb = ::csi::v1;
using AccessMode = pb::VolumeCapability::AccessMode;
using grpc::StatusCode;
using testing::HasSubstr;

constexpr char kFs[] = "fs-0123456789abcdef0";
constexpr int64_t kGiB = 1 << 30;

struct ControllerTest : testing::Test {
  ControllerTest() {
    std::string name = "/tmp/tarn-csi-XXXXXX";
    dir = mkdtemp(name.data());
    control_address = "unix:" + dir + "/control.sock";
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
    auto started = rpcs::Server::Start({{control_address, "", 0600}}, {control_service.get()});
    ASSERT_TRUE(started.ok()) << started.error().message();
    server = std::move(*started);
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

  std::string dir, control_address;
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
  ControlServers servers{""};
  ControllerService service{
      registry,
      servers,
      reader.get(),
      {"efs.csi.tarn.dev", true, {{"team", "blue"}}, std::chrono::seconds(5)}};
};

TEST_F(ControllerTest, AVolumeIsAnAccessPointWithAQuota) {
  pb::Volume volume;
  auto status = Create(Request("pvc-1", 5 * kGiB), &volume);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(volume.capacity_bytes(), 5 * kGiB);
  EXPECT_THAT(volume.volume_id(), testing::MatchesRegex("efs:fs-0123456789abcdef0::fsap-.{17}"));
  EXPECT_EQ(volume.volume_context().at(kNfsAddressKey), "10.0.0.1:2049");
  auto ap = Of(volume);
  EXPECT_EQ(ap.root_directory().path(), "/pvc-1");
  EXPECT_EQ(ap.quota_bytes(), uint64_t{5} * kGiB);
  EXPECT_EQ(ap.posix_user().gid(), 50000u);
  EXPECT_EQ(ap.posix_user().uid(), 50000u);
  EXPECT_EQ(ap.root_directory().creation_info().owner_gid(), 50000u);
  EXPECT_EQ(ap.root_directory().creation_info().permissions(), "700");
  std::map<std::string, std::string> tags;
  for (const auto& tag : ap.tags()) tags[tag.key()] = tag.value();
  EXPECT_EQ(tags[kVolumeTag], "pvc-1");
  EXPECT_EQ(tags["team"], "blue");
  EXPECT_EQ(tags["efs.csi.tarn.dev/cluster"], "true");
  ASSERT_TRUE(Delete(volume.volume_id()).ok());
  ASSERT_TRUE(Delete(volume.volume_id()).ok());
  EXPECT_TRUE(AccessPoints().empty());
}

TEST_F(ControllerTest, RepeatsGiveTheSameVolumeAndConflictsNone) {
  pb::Volume first, again;
  ASSERT_TRUE(Create(Request("pvc-1"), &first).ok());
  ASSERT_TRUE(Create(Request("pvc-1"), &again).ok());
  EXPECT_EQ(first.volume_id(), again.volume_id());
  auto larger = Request("pvc-1", 2 * kGiB);
  EXPECT_EQ(Create(larger).error_code(), StatusCode::ALREADY_EXISTS);
  auto other_user = Request("pvc-1");
  (*other_user.mutable_parameters())["uid"] = "7";
  EXPECT_EQ(Create(other_user).error_code(), StatusCode::ALREADY_EXISTS);
  auto elsewhere = Request("pvc-1");
  (*elsewhere.mutable_parameters())["basePath"] = "/x";
  EXPECT_EQ(Create(elsewhere).error_code(), StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(AccessPoints().size(), 1u);
  // A retry after an expansion still means the same volume.
  ASSERT_TRUE(Expand(first.volume_id(), 3 * kGiB).ok());
  ASSERT_TRUE(Create(Request("pvc-1"), &again).ok());
  EXPECT_EQ(again.capacity_bytes(), 3 * kGiB);
}

TEST_F(ControllerTest, UidAndGidGivenOrTaken) {
  auto user_of = [&](const std::string& name, std::map<std::string, std::string> more) {
    auto request = Request(name);
    request.mutable_parameters()->insert(more.begin(), more.end());
    pb::Volume volume;
    EXPECT_TRUE(Create(request, &volume).ok());
    auto user = Of(volume).posix_user();
    return std::pair<uint32_t, uint32_t>(user.uid(), user.gid());
  };
  using Pair = std::pair<uint32_t, uint32_t>;
  EXPECT_EQ(user_of("a", {{"uid", "7"}, {"gid", "8"}}), Pair(7, 8));
  EXPECT_EQ(user_of("b", {}), Pair(50000, 50000));
  EXPECT_EQ(user_of("c", {{"gidRangeStart", "900"}, {"gidRangeEnd", "901"}}), Pair(900, 900));
  EXPECT_EQ(user_of("d", {{"gidRangeStart", "900"}, {"gidRangeEnd", "901"}}), Pair(901, 901));
  EXPECT_EQ(user_of("e", {{"uid", "7"}}).first, 7u);
  EXPECT_EQ(user_of("f", {{"gid", "8"}}).second, 8u);
  auto full = Request("g");
  (*full.mutable_parameters())["gidRangeStart"] = "900";
  (*full.mutable_parameters())["gidRangeEnd"] = "901";
  auto status = Create(full);
  EXPECT_EQ(status.error_code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(status.error_message(), HasSubstr("no gid of the range"));
}

TEST_F(ControllerTest, FindsTheFileSystemByIdNameConfigMapOrSecret) {
  cluster.Put("/api/v1/namespaces/team/configmaps",
              {{"metadata", {{"name", "ids"}, {"namespace", "team"}}},
               {"data", {{"main", std::string(kFs) + "\n"}, {"bad", "x"}}}});
  cluster.Put("/api/v1/namespaces/team/secrets",
              {{"metadata", {{"name", "ids"}, {"namespace", "team"}}},
               {"data", {{"main", "ZnMtMDEyMzQ1Njc4OWFiY2RlZjA="}}}});
  auto with = [&](const char* name, const char* key, const char* value) {
    auto request = Request(name);
    request.mutable_parameters()->erase("fileSystemId");
    (*request.mutable_parameters())[key] = value;
    return Create(request);
  };
  EXPECT_TRUE(with("a", "fileSystemRef", "default/shared").ok());
  EXPECT_TRUE(with("b", "fileSystemIdConfigRef", "team/ids/main").ok());
  EXPECT_TRUE(with("c", "fileSystemIdSecretRef", "team/ids/main").ok());
  for (auto [key, value] : {std::pair("fileSystemIdConfigRef", "team/ids/none"),
                            std::pair("fileSystemIdConfigRef", "team/ids/bad"),
                            std::pair("fileSystemIdConfigRef", "team/none/main"),
                            std::pair("fileSystemRef", "default/none"),
                            std::pair("fileSystemId", "fs-0123456789abcdef9")}) {
    auto status = with("d", key, value);
    EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT) << value;
    EXPECT_THAT(status.error_message(), testing::AnyOf(HasSubstr("Failed to resolve filesystem Id"),
                                                       HasSubstr("File System does not exist")));
  }
}

TEST_F(ControllerTest, AFileSystemThatServesNothingIsNamed) {
  PutEntry("fs-0123456789abcdef7", "ghost");  // in the registry, but not on the server
  auto request = Request("a");
  (*request.mutable_parameters())["fileSystemId"] = "fs-0123456789abcdef7";
  auto status = Create(request);
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("File System does not exist"));
}

TEST_F(ControllerTest, WorksFromItsLastCopyWhileTheApiServerIsDown) {
  ASSERT_TRUE(Create(Request("a")).ok());
  cluster.FailNext(0, "", 1000);
  EXPECT_TRUE(Create(Request("b")).ok());
}

TEST_F(ControllerTest, ReuseGivesTheClaimItsAccessPointAgain) {
  auto request = [&](const std::string& name, const std::string& ns, int64_t bytes) {
    auto one = Request(name, bytes);
    auto& parameters = *one.mutable_parameters();
    parameters["reuseAccessPoint"] = "true";
    parameters["csi.storage.k8s.io/pvc/name"] = "data";
    parameters["csi.storage.k8s.io/pvc/namespace"] = ns;
    return one;
  };
  pb::Volume first, second, other;
  ASSERT_TRUE(Create(request("pvc-1", "team", kGiB), &first).ok());
  ASSERT_TRUE(Create(request("pvc-2", "team", 2 * kGiB), &second).ok());
  EXPECT_EQ(first.volume_id(), second.volume_id());
  EXPECT_EQ(second.capacity_bytes(), 2 * kGiB);
  ASSERT_TRUE(Create(request("pvc-3", "other", kGiB), &other).ok());
  EXPECT_NE(first.volume_id(), other.volume_id());
}

TEST_F(ControllerTest, OnDeleteRetainKeepsTheDirectory) {
  pb::Volume kept, gone;
  auto request = Request("kept");
  (*request.mutable_parameters())["onDelete"] = "retain";
  ASSERT_TRUE(Create(request, &kept).ok());
  ASSERT_TRUE(Create(Request("gone"), &gone).ok());
  // The first use of an access point makes its root directory.
  auto enter = [&](const pb::Volume& volume) {
    auto root = manager->exports().Root(control::kDefaultListenerTag);
    ASSERT_TRUE(root.ok());
    auto id = ParseVolumeId(volume.volume_id());
    ASSERT_TRUE(manager->exports().Enter((*root)->file_system, id->access_point_id).ok());
  };
  enter(kept);
  enter(gone);
  auto exists = [&](const std::string& name) {
    auto root = manager->exports().Root(control::kDefaultListenerTag);
    return (*root)->engine->Lookup({}, (*root)->root, name).ok();
  };
  EXPECT_TRUE(exists("kept"));
  EXPECT_TRUE(exists("gone"));
  ASSERT_TRUE(Delete(kept.volume_id()).ok());
  ASSERT_TRUE(Delete(gone.volume_id()).ok());
  EXPECT_TRUE(AccessPoints().empty());
  EXPECT_TRUE(exists("kept"));
  EXPECT_FALSE(exists("gone"));
}

TEST_F(ControllerTest, DataThatAnotherVolumeSharesStaysForIt) {
  auto shared = [&](const std::string& name) {
    auto request = Request(name);
    (*request.mutable_parameters())["subPathPattern"] = "/common";
    (*request.mutable_parameters())["ensureUniqueDirectory"] = "false";
    return request;
  };
  pb::Volume first, second;
  ASSERT_TRUE(Create(shared("a"), &first).ok());
  ASSERT_TRUE(Create(shared("b"), &second).ok());
  EXPECT_TRUE(Delete(first.volume_id()).ok());
  EXPECT_EQ(AccessPoints().size(), 1u);
  EXPECT_TRUE(Delete(second.volume_id()).ok());
  EXPECT_TRUE(AccessPoints().empty());
}

TEST_F(ControllerTest, DeleteIsIdempotentAndNeverGuesses) {
  EXPECT_EQ(Delete("").error_code(), StatusCode::INVALID_ARGUMENT);
  for (const char* id : {"nonsense", "fs-0123456789abcdef0", "fs-0123456789abcdef0:/a",
                         "efs:fs-0123456789abcdef0::fsap-0123456789abcdef0"}) {
    EXPECT_TRUE(Delete(id).ok()) << id;
  }
  // A file system that is not known may be back soon: its access point must not be forgotten.
  EXPECT_EQ(Delete("efs:fs-0123456789abcdef5::fsap-0123456789abcdef0").error_code(),
            StatusCode::FAILED_PRECONDITION);
}

TEST_F(ControllerTest, ExpandSetsTheQuotaAndNeverShrinks) {
  pb::Volume volume;
  ASSERT_TRUE(Create(Request("a"), &volume).ok());
  int64_t capacity = 0;
  ASSERT_TRUE(Expand(volume.volume_id(), 4 * kGiB, &capacity).ok());
  EXPECT_EQ(capacity, 4 * kGiB);
  EXPECT_EQ(Of(volume).quota_bytes(), uint64_t{4} * kGiB);
  ASSERT_TRUE(Expand(volume.volume_id(), kGiB, &capacity).ok());
  EXPECT_EQ(capacity, 4 * kGiB);
  EXPECT_EQ(Expand("", kGiB).error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Expand(volume.volume_id(), 0).error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Expand("efs:fs-0123456789abcdef0::fsap-0123456789abcdef0", kGiB).error_code(),
            StatusCode::NOT_FOUND);
}

TEST_F(ControllerTest, ZonesChooseMountTargetsAndTopology) {
  auto request = Request("a");
  (*request.mutable_parameters())["az"] = "a";
  (*request.mutable_parameters())["enforceZoneAffinity"] = "true";
  pb::Volume volume;
  ASSERT_TRUE(Create(request, &volume).ok());
  EXPECT_EQ(volume.volume_context().at(kMountTargetIpKey), "10.0.0.2:2049");
  EXPECT_EQ(volume.accessible_topology(0).segments().at(kZoneKey), "a");
  request = Request("b");
  (*request.mutable_parameters())["az"] = "b";
  EXPECT_THAT(Create(request).error_message(), HasSubstr("az 'b'"));
  EXPECT_EQ(AccessPoints().size(), 1u);
}

TEST_F(ControllerTest, RefusesBadRequestsByField) {
  using Change = std::function<void(pb::CreateVolumeRequest&)>;
  const std::pair<Change, const char*> cases[] = {
      {[](auto& r) { r.clear_name(); }, "Volume name"},
      {[](auto& r) { r.set_name(std::string(129, 'x')); }, "128 bytes"},
      {[](auto& r) { r.clear_volume_capabilities(); }, "Volume capabilities"},
      {[](auto& r) { r.mutable_volume_capabilities(0)->mutable_block(); }, "block"},
      {[](auto& r) { r.mutable_volume_content_source()->mutable_snapshot(); }, "content source"},
      {[](auto& r) { r.mutable_capacity_range()->set_required_bytes(-1); }, "capacity range"},
      {[](auto& r) { (*r.mutable_parameters())["typo"] = "x"; }, "'typo'"},
      {[](auto& r) { (*r.mutable_mutable_parameters())["iops"] = "1"; }, "'iops'"},
      {[](auto& r) { r.mutable_volume_capabilities(0)->mutable_mount()->add_mount_flags("tls"); },
       "'tls'"},
  };
  for (const auto& [change, message] : cases) {
    auto request = Request("a");
    change(request);
    auto status = Create(request);
    EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT) << message;
    EXPECT_THAT(status.error_message(), HasSubstr(message));
  }
  auto range = Request("a", 2 * kGiB);
  range.mutable_capacity_range()->set_limit_bytes(kGiB);
  EXPECT_EQ(Create(range).error_code(), StatusCode::OUT_OF_RANGE);
  EXPECT_TRUE(AccessPoints().empty());
}

TEST_F(ControllerTest, EveryAccessModeIsTaken) {
  int n = 0;
  for (auto mode : {AccessMode::SINGLE_NODE_WRITER, AccessMode::SINGLE_NODE_READER_ONLY,
                    AccessMode::MULTI_NODE_READER_ONLY, AccessMode::MULTI_NODE_SINGLE_WRITER,
                    AccessMode::MULTI_NODE_MULTI_WRITER, AccessMode::SINGLE_NODE_SINGLE_WRITER,
                    AccessMode::SINGLE_NODE_MULTI_WRITER}) {
    auto request = Request("mode-" + std::to_string(++n));
    request.mutable_volume_capabilities(0)->mutable_access_mode()->set_mode(mode);
    EXPECT_TRUE(Create(request).ok()) << mode;
  }
}

TEST_F(ControllerTest, AServerThatIsDownIsUnavailableAndLosesNothing) {
  pb::Volume volume;
  ASSERT_TRUE(Create(Request("a"), &volume).ok());
  server.reset();
  auto down = Create(Request("b"));
  EXPECT_EQ(down.error_code(), StatusCode::UNAVAILABLE) << down.error_message();
  EXPECT_EQ(Delete(volume.volume_id()).error_code(), StatusCode::UNAVAILABLE);
  StartServer();
  for (int i = 0; i < 100 && !down.ok(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    down = Create(Request("b"));
  }
  EXPECT_TRUE(down.ok()) << down.error_message();
  EXPECT_TRUE(Delete(volume.volume_id()).ok());
  EXPECT_EQ(AccessPoints().size(), 1u);
}

// As the provisioner does it: many at once, each asked for again while the first is under way, as
// after a deadline.
TEST_F(ControllerTest, FiftyAtOnceWithRetriesLeaveNothingBehind) {
  constexpr int kVolumes = 50;
  std::vector<std::string> ids(kVolumes);
  std::vector<std::string> ids_of_retry(kVolumes);
  auto until_done = [](auto call) {
    for (;;) {
      grpc::Status status = call();
      if (status.error_code() != StatusCode::ABORTED) return status;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  };
  auto all = [&](auto work) {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 2 * kVolumes; ++i) threads.emplace_back([=] { work(i / 2, i % 2 == 1); });
  };
  all([&](int i, bool retry) {
    pb::Volume volume;
    auto request = Request("pvc-" + std::to_string(i));
    auto status = until_done([&] { return Create(request, &volume); });
    EXPECT_TRUE(status.ok()) << status.error_message();
    (retry ? ids_of_retry : ids)[static_cast<size_t>(i)] = volume.volume_id();
  });
  EXPECT_EQ(ids, ids_of_retry);
  std::set<uint32_t> gids;
  for (const auto& ap : AccessPoints()) gids.insert(ap.posix_user().gid());
  EXPECT_EQ(gids.size(), static_cast<size_t>(kVolumes));  // no two volumes share an identity
  all([&](int i, bool) {
    auto status = until_done([&] { return Delete(ids[static_cast<size_t>(i)]); });
    EXPECT_TRUE(status.ok()) << status.error_message();
  });
  EXPECT_TRUE(AccessPoints().empty());
}

// The operator writes the Secret only with the first file system, and renews it later.
TEST_F(ControllerTest, FollowsItsSecretFromAbsentToRenewed) {
  auto issue = [&](const rpcs::TestAuthority& authority) {
    authority.Issue(dir + "/tls");
    kube::Json data;
    for (const char* name : {"ca.crt", "tls.crt", "tls.key"}) {
      data[name] = kube::EncodeBase64(*kube::ReadFile(dir + "/tls/" + name));
    }
    return kube::Json{{"metadata", {{"name", "who"}, {"namespace", "tarn"}}}, {"data", data}};
  };
  const std::string secrets = "/api/v1/namespaces/tarn/secrets";
  rpcs::TestAuthority first, second;
  kube::Json secret = issue(first);
  auto start = [&](int port) {
    auto started = rpcs::Server::Start({{"127.0.0.1:" + std::to_string(port), dir + "/tls", 0}},
                                       {control_service.get()});
    ASSERT_TRUE(started.ok()) << started.error().message();
    server = std::move(*started);
  };
  server.reset();
  start(0);
  int port = server->port(0);
  std::string address = "127.0.0.1:" + std::to_string(port);

  ControlServers by_secret("", [&] { return ReadTlsSecret(*reader, "tarn", "who"); });
  auto call = [&] {
    control_pb::DescribeAccessPointsRequest request;
    request.set_file_system_id(kFs);
    return by_secret
        .Call(address, &control_pb::Control::Stub::DescribeAccessPoints, request,
              std::chrono::seconds(5))
        .code();
  };
  EXPECT_EQ(call(), Code::kUnavailable);
  cluster.Put(secrets, secret);
  EXPECT_EQ(call(), Code::kOk);
  // A new authority on both sides: the old certificate is refused, the new one is found by itself.
  server.reset();
  cluster.Put(secrets, issue(second));
  start(port);
  Code code = Code::kUnavailable;
  for (int i = 0; i < 100 && code != Code::kOk; ++i) {
    code = call();
    if (code != Code::kOk) std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  EXPECT_EQ(code, Code::kOk);
}

TEST_F(ControllerTest, ValidatesCapabilities) {
  pb::Volume volume;
  ASSERT_TRUE(Create(Request("a"), &volume).ok());
  pb::ValidateVolumeCapabilitiesRequest request;
  pb::ValidateVolumeCapabilitiesResponse response;
  auto validate = [&] {
    response.Clear();
    return service.ValidateVolumeCapabilities(nullptr, &request, &response).error_code();
  };
  EXPECT_EQ(validate(), StatusCode::INVALID_ARGUMENT);
  request.set_volume_id(volume.volume_id());
  EXPECT_EQ(validate(), StatusCode::INVALID_ARGUMENT);
  *request.mutable_volume_capabilities() = Request("a").volume_capabilities();
  EXPECT_EQ(validate(), StatusCode::OK);
  EXPECT_TRUE(response.has_confirmed());
  request.mutable_volume_capabilities(0)->mutable_block();
  EXPECT_EQ(validate(), StatusCode::OK);
  EXPECT_FALSE(response.has_confirmed());
  EXPECT_THAT(response.message(), HasSubstr("block"));
  for (const char* id :
       {"x", "efs:fs-0123456789abcdef0::fsap-0123456789abcdef0", "fs-0123456789abcdef9"}) {
    request.set_volume_id(id);
    EXPECT_EQ(validate(), StatusCode::NOT_FOUND) << id;
  }
}

}  // namespace
}  // namespace tarn::csi
