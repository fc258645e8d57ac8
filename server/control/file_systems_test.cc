#include <gmock/gmock.h>

#include "server/control/testing/world.h"

namespace tarn::control {
namespace {

using testing::HasSubstr;

class FileSystems : public World {};

TEST_F(FileSystems, CreateFillsInWhatIsNotGiven) {
  auto fs = MakeFileSystem("one");
  EXPECT_EQ(fs.file_system_id().size(), 20u);
  EXPECT_EQ(fs.life_cycle_state(), "available");
  EXPECT_EQ(fs.performance_mode(), "generalPurpose");
  EXPECT_EQ(fs.throughput_mode(), "elastic");
  EXPECT_EQ(fs.number_of_mount_targets(), 0u);
  EXPECT_EQ(fs.files(), 1u);  // its root
  EXPECT_EQ(fs.creation_time(), 1'000'000'000);
}

TEST_F(FileSystems, TheSameTokenGivesTheSameFileSystem) {
  v1::CreateFileSystemRequest request;
  request.set_creation_token("one");
  auto first = manager_->CreateFileSystem(request);
  auto again = manager_->CreateFileSystem(request);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->file_system_id(), first->file_system_id());
  request.set_throughput_mode("bursting");
  auto other = manager_->CreateFileSystem(request);
  EXPECT_EQ(EfsName(other), "FileSystemAlreadyExists");
  EXPECT_EQ(other.error().resource_id(), first->file_system_id());
  EXPECT_EQ(other.code(), Code::kAlreadyExists);
}

TEST_F(FileSystems, AGivenIdIsUsedAndTakenOnce) {
  v1::CreateFileSystemRequest request;
  request.set_creation_token("one");
  request.set_file_system_id("fs-0123456789abcdef0");
  EXPECT_EQ(manager_->CreateFileSystem(request)->file_system_id(), "fs-0123456789abcdef0");
  request.set_creation_token("two");
  EXPECT_EQ(EfsName(manager_->CreateFileSystem(request)), "FileSystemAlreadyExists");
  request.set_file_system_id("fs-XYZ");
  EXPECT_EQ(EfsName(manager_->CreateFileSystem(request)), "BadRequest");
}

TEST_F(FileSystems, BadRequestsNameTheField) {
  auto message = [&](auto change) {
    v1::CreateFileSystemRequest request;
    request.set_creation_token("bad");
    change(request);
    auto made = manager_->CreateFileSystem(request);
    return made.ok() ? "made" : made.error().message();
  };
  using R = v1::CreateFileSystemRequest;
  EXPECT_THAT(message([](R& r) { r.clear_creation_token(); }), HasSubstr("creation_token"));
  EXPECT_THAT(message([](R& r) { r.set_performance_mode("x"); }), HasSubstr("performance_mode"));
  EXPECT_THAT(message([](R& r) { r.set_throughput_mode("x"); }), HasSubstr("throughput_mode"));
  EXPECT_THAT(message([](R& r) { r.set_encrypted(true); }), HasSubstr("encrypted"));
  EXPECT_THAT(message([](R& r) { r.add_tags()->set_key("aws:x"); }), HasSubstr("tags"));
  EXPECT_THAT(message([](R& r) {
                r.set_performance_mode("maxIO");
                r.set_availability_zone_name("a");
              }),
              HasSubstr("availability_zone_name"));
}

TEST_F(FileSystems, DescribeByIdTokenAndPage) {
  std::set<std::string> made;
  for (int i = 0; i < 7; ++i) made.insert(MakeFileSystem("t" + std::to_string(i)).file_system_id());
  v1::DescribeFileSystemsRequest request;
  request.set_creation_token("t3");
  EXPECT_EQ(manager_->DescribeFileSystems(request)->file_systems_size(), 1);
  request.set_creation_token("none");
  EXPECT_EQ(manager_->DescribeFileSystems(request)->file_systems_size(), 0);
  request.set_file_system_id(*made.begin());
  EXPECT_THAT(manager_->DescribeFileSystems(request).error().message(),
              HasSubstr("both a file system ID and a creation token"));
  request.Clear();
  request.set_max_items(3);
  std::set<std::string> seen;
  int pages = 0;
  do {
    auto page = manager_->DescribeFileSystems(request);
    ASSERT_TRUE(page.ok());
    for (const auto& fs : page->file_systems())
      EXPECT_TRUE(seen.insert(fs.file_system_id()).second);
    request.set_marker(page->next_marker());
    ++pages;
  } while (!request.marker().empty());
  EXPECT_EQ(seen, made);
  EXPECT_EQ(pages, 3);
  request.set_max_items(1001);
  EXPECT_EQ(EfsName(manager_->DescribeFileSystems(request)), "BadRequest");
  EXPECT_EQ(EfsName(DescribeFileSystem("fs-00000000000000000")), "FileSystemNotFound");
  EXPECT_EQ(DescribeFileSystem("fs-00000000000000000").error().message(),
            "File system 'fs-00000000000000000' does not exist.");
}

TEST_F(FileSystems, TheLimitHolds) {
  options_.file_systems_max = 2;
  Restart();
  MakeFileSystem("a");
  auto b = MakeFileSystem("b");
  v1::CreateFileSystemRequest request;
  request.set_creation_token("c");
  EXPECT_EQ(EfsName(manager_->CreateFileSystem(request)), "FileSystemLimitExceeded");
  ASSERT_TRUE(DeleteFileSystem(b.file_system_id()).ok());
  EXPECT_TRUE(manager_->CreateFileSystem(request).ok());
}

TEST_F(FileSystems, ThroughputChangesFollowTheRules) {
  std::string id = MakeFileSystem("one").file_system_id();
  auto update = [&](const std::string& mode, double mibps) {
    v1::UpdateFileSystemRequest request;
    request.set_file_system_id(id);
    request.set_throughput_mode(mode);
    request.set_provisioned_throughput_in_mibps(mibps);
    return manager_->UpdateFileSystem(request);
  };
  EXPECT_EQ(update("provisioned", 100)->provisioned_throughput_in_mibps(), 100);
  EXPECT_EQ(update("", 50)->provisioned_throughput_in_mibps(), 50);
  EXPECT_EQ(update("provisioned", 0)->provisioned_throughput_in_mibps(), 50);
  EXPECT_EQ(EfsName(update("provisioned", 4000)), "ThroughputLimitExceeded");
  EXPECT_EQ(EfsName(update("bursting", 50)), "BadRequest");
  EXPECT_EQ(update("bursting", 0)->provisioned_throughput_in_mibps(), 0);
  Restart();
  EXPECT_EQ(DescribeFileSystem(id)->throughput_mode(), "bursting");
}

TEST_F(FileSystems, ACooldownAllowsIncreasesOnly) {
  options_.throughput_cooldown = std::chrono::hours{24};
  Restart();
  std::string id = MakeFileSystem("one").file_system_id();
  auto update = [&](const std::string& mode, double mibps) {
    v1::UpdateFileSystemRequest request;
    request.set_file_system_id(id);
    request.set_throughput_mode(mode);
    request.set_provisioned_throughput_in_mibps(mibps);
    return EfsName(manager_->UpdateFileSystem(request));
  };
  EXPECT_EQ(update("provisioned", 10), "ok");
  EXPECT_EQ(update("provisioned", 20), "ok");
  EXPECT_EQ(update("provisioned", 5), "TooManyRequests");
  EXPECT_EQ(update("bursting", 0), "TooManyRequests");
  clock_.Advance(std::chrono::hours{24});
  EXPECT_EQ(update("bursting", 0), "ok");
}

TEST_F(FileSystems, ArchiveRulesNeedElasticThroughput) {
  std::string id = MakeFileSystem("one").file_system_id();
  v1::PutLifecycleConfigurationRequest put;
  put.set_file_system_id(id);
  put.add_lifecycle_policies()->set_transition_to_archive("AFTER_60_DAYS");
  auto stored = manager_->PutLifecycleConfiguration(put);
  ASSERT_TRUE(stored.ok());
  EXPECT_EQ(stored->warnings_size(), 1);
  v1::UpdateFileSystemRequest update;
  update.set_file_system_id(id);
  update.set_throughput_mode("bursting");
  EXPECT_EQ(EfsName(manager_->UpdateFileSystem(update)), "BadRequest");
  v1::PutLifecycleConfigurationRequest none;
  none.set_file_system_id(id);
  ASSERT_TRUE(manager_->PutLifecycleConfiguration(none).ok());
  EXPECT_TRUE(manager_->UpdateFileSystem(update).ok());
  EXPECT_EQ(EfsName(manager_->PutLifecycleConfiguration(put)), "BadRequest");
}

TEST_F(FileSystems, LifecycleSurvivesARestart) {
  std::string id = MakeFileSystem("one").file_system_id();
  v1::PutLifecycleConfigurationRequest put;
  put.set_file_system_id(id);
  put.add_lifecycle_policies()->set_transition_to_ia("AFTER_30_DAYS");
  ASSERT_TRUE(manager_->PutLifecycleConfiguration(put).ok());
  Restart();
  v1::DescribeLifecycleConfigurationRequest describe;
  describe.set_file_system_id(id);
  auto found = manager_->DescribeLifecycleConfiguration(describe);
  ASSERT_EQ(found->lifecycle_policies_size(), 1);
  EXPECT_EQ(found->lifecycle_policies(0).transition_to_ia(), "AFTER_30_DAYS");
  put.set_file_system_id("fs-00000000000000000");
  EXPECT_EQ(EfsName(manager_->PutLifecycleConfiguration(put)), "FileSystemNotFound");
}

TEST_F(FileSystems, DeleteIsRefusedWithMountTargets) {
  std::string id = MakeFileSystem("one").file_system_id();
  auto target = MakeMountTarget(id, "a");
  auto refused = DeleteFileSystem(id);
  EXPECT_EQ(EfsName(refused), "FileSystemInUse");
  EXPECT_EQ(refused.error().resource_id(), target->mount_target_id());
  EXPECT_EQ(refused.error().message(),
            "Must delete all mount targets before deleting file system.");
  v1::DeleteMountTargetRequest request;
  request.set_mount_target_id(target->mount_target_id());
  ASSERT_TRUE(manager_->DeleteMountTarget(request).ok());
  EXPECT_TRUE(DeleteFileSystem(id).ok());
  EXPECT_EQ(EfsName(DescribeFileSystem(id)), "FileSystemNotFound");
  EXPECT_EQ(EfsName(DeleteFileSystem(id)), "FileSystemNotFound");
}

TEST_F(FileSystems, DeleteTakesAccessPointsAlong) {
  std::string id = MakeFileSystem("one").file_system_id();
  std::string ap = MakeAccessPoint(id, "ap", "/data").access_point_id();
  uint32_t number = NumberOf(id);
  auto held = manager_->exports().Enter(number, ap);
  ASSERT_TRUE(held.ok());
  ASSERT_TRUE(DeleteFileSystem(id).ok());
  EXPECT_EQ(EfsName(DescribeFileSystem(id)), "FileSystemNotFound");
  EXPECT_EQ(EfsName(DescribeOne(ap)), "AccessPointNotFound");
  EXPECT_EQ(manager_->exports().Find(number, (*held)->number).code(), Code::kNotFound);
  EXPECT_EQ(manager_->exports().Enter(number, ap).code(), Code::kNotFound);
  EXPECT_EQ(engine_.real().GetFileSystem(number).code(), Code::kNotFound);
  // A request that still holds the export finds nothing, and nothing breaks.
  vfs::Caller root{.uid = 0, .gid = 0, .gids = {}, .realm = (*held)->realm};
  EXPECT_EQ((*held)->engine->GetAttributes(root, (*held)->root).code(), Code::kStale);
  (*held)->engine->Unpin((*held)->root);
  Restart();
  EXPECT_EQ(EfsName(DescribeFileSystem(id)), "FileSystemNotFound");
  EXPECT_EQ(EfsName(DescribeOne(ap)), "AccessPointNotFound");
}

TEST_F(FileSystems, TheExportsListThoseThatAreServed) {
  std::string one = MakeFileSystem("one").file_system_id();
  std::string two = MakeFileSystem("two").file_system_id();
  MakeAccessPoint(one, "ap", "/data");
  EXPECT_EQ(manager_->exports().FileSystems().size(), 2u);
  Restart();
  EXPECT_EQ(manager_->exports().FileSystems().size(), 2u);
  ASSERT_TRUE(DeleteFileSystem(one).ok());
  auto left = manager_->exports().FileSystems();
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0]->number, 0u);
}

TEST_F(FileSystems, TheDefaultOneIsMadeOnceAndKept) {
  const std::string id = "fs-0123456789abcdef0";
  ASSERT_TRUE(manager_->EnsureDefaultFileSystem(id).ok());
  auto root = manager_->exports().Root(kDefaultListenerTag);
  ASSERT_TRUE(root.ok());
  EXPECT_EQ(EfsName(DeleteFileSystem(id)), "FileSystemInUse");
  Restart();
  EXPECT_EQ(manager_->exports().Root(kDefaultListenerTag).code(), Code::kNotFound);
  ASSERT_TRUE(manager_->EnsureDefaultFileSystem(id).ok());
  EXPECT_EQ((*manager_->exports().Root(kDefaultListenerTag))->file_system, (*root)->file_system);
  EXPECT_EQ(EfsName(manager_->EnsureDefaultFileSystem("fs-x")), "BadRequest");
  auto other = manager_->EnsureDefaultFileSystem("fs-0123456789abcdef1");
  EXPECT_EQ(EfsName(other), "MountTargetConflict");
  EXPECT_THAT(other.error().message(), HasSubstr("holds file system '" + id + "'"));
  EXPECT_EQ(manager_->exports().FileSystems().size(), 1u) << "nothing is left of it";
}

TEST_F(FileSystems, TagsAreASetByKeyAndNameIsShown) {
  std::string id = MakeFileSystem("one").file_system_id();
  auto put = [&](const std::string& key, const std::string& value) {
    v1::TagResourceRequest request;
    request.set_resource_id(id);
    auto& tag = *request.add_tags();
    tag.set_key(key);
    tag.set_value(value);
    return EfsName(manager_->TagResource(request));
  };
  EXPECT_EQ(put("Name", "shared"), "ok");
  EXPECT_EQ(put("team", "a"), "ok");
  EXPECT_EQ(put("team", "b"), "ok");
  EXPECT_EQ(put("aws:x", "b"), "BadRequest");
  auto delegations = [&] { return manager_->exports().FileSystems().at(0)->delegations; };
  EXPECT_FALSE(delegations());
  EXPECT_EQ(put("tarn:delegations", "on"), "ok");
  EXPECT_TRUE(delegations());
  Restart();
  EXPECT_TRUE(delegations());
  EXPECT_EQ(put("tarn:delegations", "off"), "ok");
  EXPECT_FALSE(delegations());
  v1::UntagResourceRequest off;
  off.set_resource_id(id);
  off.add_tag_keys("tarn:delegations");
  ASSERT_TRUE(manager_->UntagResource(off).ok());
  Restart();
  EXPECT_EQ(DescribeFileSystem(id)->name(), "shared");
  v1::ListTagsForResourceRequest list;
  list.set_resource_id(id);
  list.set_max_results(1);
  auto page = manager_->ListTagsForResource(list);
  EXPECT_EQ(page->tags(0).key(), "Name");
  list.set_next_token(page->next_token());
  page = manager_->ListTagsForResource(list);
  EXPECT_EQ(page->tags(0).value(), "b");
  EXPECT_EQ(page->next_token(), "");
  v1::UntagResourceRequest untag;
  untag.set_resource_id(id);
  untag.add_tag_keys("Name");
  untag.add_tag_keys("never-there");
  ASSERT_TRUE(manager_->UntagResource(untag).ok());
  EXPECT_EQ(DescribeFileSystem(id)->name(), "");
  for (int i = 0; i < 49; ++i) EXPECT_EQ(put("k" + std::to_string(i), ""), "ok");
  EXPECT_EQ(put("one more", ""), "BadRequest");
  EXPECT_EQ(DescribeFileSystem(id)->tags_size(), 50);
}

TEST_F(FileSystems, TagsOfWhatIsNotThere) {
  auto tag = [&](const std::string& id) {
    v1::TagResourceRequest request;
    request.set_resource_id(id);
    request.add_tags()->set_key("k");
    return EfsName(manager_->TagResource(request));
  };
  EXPECT_EQ(tag("fs-00000000000000000"), "FileSystemNotFound");
  EXPECT_EQ(tag("fsap-00000000000000000"), "AccessPointNotFound");
  EXPECT_EQ(tag("fsmt-00000000000000000"), "BadRequest");
  EXPECT_EQ(tag(""), "BadRequest");
}

}  // namespace
}  // namespace tarn::control
