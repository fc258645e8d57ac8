// The CSI controller against the real control service: what each call does.
#include "tests/csi/controller_world.h"

namespace tarn::csi {
namespace {

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
      {[](auto& r) { r.mutable_volume_capabilities(0)->mutable_mount()->add_mount_flags("tlsv"); },
       "'tlsv'"},
      {[](auto& r) {
         r.mutable_volume_capabilities(0)->mutable_mount()->add_mount_flags("tls");
         (*r.mutable_parameters())["encryptInTransit"] = "false";
       },
       "Found tls in mountOptions"},
      {[](auto& r) {
         auto* mount = r.mutable_volume_capabilities(0)->mutable_mount();
         mount->add_mount_flags("accesspoint=fsap-0123456789abcdef1");
       },
       "leave it out"},
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

TEST_F(ControllerTest, EncryptionInTransitGoesToTheNodesAsItWasAskedFor) {
  auto context_of = [&](const std::string& name, const char* value) {
    auto request = Request(name);
    if (value != nullptr) (*request.mutable_parameters())["encryptInTransit"] = value;
    pb::Volume volume;
    auto status = Create(request, &volume);
    EXPECT_TRUE(status.ok()) << status.error_message();
    auto found = volume.volume_context().find("encryptInTransit");
    return found == volume.volume_context().end() ? "" : found->second;
  };
  EXPECT_EQ(context_of("a", nullptr), "");
  EXPECT_EQ(context_of("b", "False"), "false");
  EXPECT_EQ(context_of("c", "true"), "true");
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
