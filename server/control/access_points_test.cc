#include <gmock/gmock.h>

#include <set>
#include <thread>

#include "server/control/testing/world.h"

namespace tarn::control {
namespace {

using testing::HasSubstr;

class AccessPoints : public World {
 protected:
  std::string fs_ = MakeFileSystem("one").file_system_id();

  v1::CreateAccessPointRequest GidRequest(const std::string& token, uint32_t start, uint32_t end) {
    auto request = AccessPointRequest(fs_, token, "/" + token);
    request.mutable_root_directory()->mutable_creation_info()->clear_owner_uid();
    request.mutable_root_directory()->mutable_creation_info()->clear_owner_gid();
    request.set_gid_range_start(start);
    request.set_gid_range_end(end);
    return request;
  }

  Result<v1::AccessPointDescription> SetQuota(const std::string& id, uint64_t bytes,
                                              uint64_t files) {
    v1::UpdateAccessPointRequest request;
    request.set_access_point_id(id);
    request.set_quota_bytes(bytes);
    request.set_quota_files(files);
    return manager_->UpdateAccessPoint(request);
  }
};

TEST_F(AccessPoints, CreateAndDescribe) {
  auto request = AccessPointRequest(fs_, "pvc-1", "/data/pvc-1");
  request.mutable_posix_user()->set_uid(1000);
  request.mutable_posix_user()->set_gid(1001);
  request.mutable_posix_user()->add_secondary_gids(7);
  request.set_quota_bytes(1 << 30);
  auto& tag = *request.add_tags();
  tag.set_key("Name");
  tag.set_value("first");
  auto made = manager_->CreateAccessPoint(request);
  ASSERT_TRUE(made.ok()) << made.error().ToString();
  EXPECT_EQ(made->access_point_id().size(), 22u);
  EXPECT_EQ(made->name(), "first");
  EXPECT_EQ(made->life_cycle_state(), "available");
  EXPECT_EQ(made->posix_user().secondary_gids(0), 7u);
  EXPECT_EQ(made->used_bytes(), 0u);
  EXPECT_EQ(made->total_bytes(), uint64_t{1} << 30);
  EXPECT_EQ(made->free_bytes(), uint64_t{1} << 30);
  Restart();
  EXPECT_EQ(DescribeOne(made->access_point_id())->SerializeAsString(), made->SerializeAsString());
}

TEST_F(AccessPoints, TheSameTokenGivesTheSameAccessPoint) {
  auto first = MakeAccessPoint(fs_, "t", "/a");
  EXPECT_EQ(MakeAccessPoint(fs_, "t", "/a").access_point_id(), first.access_point_id());
  // Tags may have changed since; that does not make it another one.
  auto request = AccessPointRequest(fs_, "t", "/a");
  request.add_tags()->set_key("k");
  EXPECT_EQ(manager_->CreateAccessPoint(request)->access_point_id(), first.access_point_id());
  for (const auto& other :
       {AccessPointRequest(fs_, "t", "/b"),
        AccessPointRequest(MakeFileSystem("two").file_system_id(), "t", "/a")}) {
    auto refused = manager_->CreateAccessPoint(other);
    EXPECT_EQ(EfsName(refused), "AccessPointAlreadyExists");
    EXPECT_EQ(refused.error().resource_id(), first.access_point_id());
  }
  Restart();
  EXPECT_EQ(MakeAccessPoint(fs_, "t", "/a").access_point_id(), first.access_point_id());
}

TEST_F(AccessPoints, FiftyAtOnceWithOneTokenMakeOne) {
  std::vector<std::thread> threads;
  std::mutex mutex;
  std::set<std::string> ids;
  for (int i = 0; i < 50; ++i) {
    threads.emplace_back([&] {
      auto made = manager_->CreateAccessPoint(GidRequest("same", 50'000, 60'000));
      std::lock_guard lock(mutex);
      ids.insert(made.ok() ? made->access_point_id() : made.error().ToString());
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(ids.size(), 1u) << *ids.begin();
  EXPECT_EQ(manager_->Usage()[0].access_points, 1u);
}

TEST_F(AccessPoints, FiftyAtOnceGetFiftyGids) {
  std::vector<std::thread> threads;
  std::mutex mutex;
  std::set<uint32_t> gids;
  for (int i = 0; i < 50; ++i) {
    threads.emplace_back([&, i] {
      auto made = manager_->CreateAccessPoint(GidRequest("t" + std::to_string(i), 100, 149));
      std::lock_guard lock(mutex);
      if (made.ok()) gids.insert(made->posix_user().gid());
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(gids.size(), 50u);
  EXPECT_EQ(*gids.begin(), 100u);
  EXPECT_EQ(*gids.rbegin(), 149u);
}

TEST_F(AccessPoints, AGidRangeGivesTheLowestFreeOneAndEnds) {
  auto a = manager_->CreateAccessPoint(GidRequest("a", 500, 501));
  EXPECT_EQ(a->posix_user().gid(), 500u);
  EXPECT_EQ(a->posix_user().uid(), 500u);
  EXPECT_EQ(a->root_directory().creation_info().owner_uid(), 500u);
  EXPECT_EQ(a->root_directory().creation_info().owner_gid(), 500u);
  auto b = manager_->CreateAccessPoint(GidRequest("b", 500, 501));
  EXPECT_EQ(b->posix_user().gid(), 501u);
  auto c = manager_->CreateAccessPoint(GidRequest("c", 500, 501));
  EXPECT_EQ(EfsName(c), "AccessPointLimitExceeded");
  EXPECT_THAT(c.error().message(), HasSubstr("no gid of the range 500 to 501"));
  ASSERT_TRUE(DeleteAccessPoint(a->access_point_id(), false).ok());
  Restart();
  EXPECT_EQ(manager_->CreateAccessPoint(GidRequest("c", 500, 501))->posix_user().gid(), 500u);
  // Another file system has its own.
  auto other = GidRequest("d", 500, 501);
  other.set_file_system_id(MakeFileSystem("two").file_system_id());
  EXPECT_EQ(manager_->CreateAccessPoint(other)->posix_user().gid(), 500u);
}

TEST_F(AccessPoints, AGidRangeWithAFixedUidOrGid) {
  auto request = GidRequest("a", 500, 501);
  request.set_fixed_uid(0);
  auto made = manager_->CreateAccessPoint(request);
  EXPECT_EQ(made->posix_user().uid(), 0u);
  EXPECT_EQ(made->posix_user().gid(), 500u);
  request = GidRequest("b", 500, 501);
  request.set_fixed_gid(42);
  made = manager_->CreateAccessPoint(request);
  EXPECT_EQ(made->posix_user().gid(), 42u);
  EXPECT_EQ(made->posix_user().uid(), 501u);
  EXPECT_EQ(EfsName(manager_->CreateAccessPoint(GidRequest("c", 500, 501))),
            "AccessPointLimitExceeded");
}

TEST_F(AccessPoints, BadRequestsNameTheField) {
  auto message = [&](auto change) {
    auto request = AccessPointRequest(fs_, "bad", "/bad");
    change(request);
    auto made = manager_->CreateAccessPoint(request);
    return made.ok() ? "made" : made.error().message();
  };
  using R = v1::CreateAccessPointRequest;
  EXPECT_THAT(message([](R& r) { r.clear_client_token(); }), HasSubstr("client_token"));
  EXPECT_THAT(message([](R& r) { r.set_file_system_id("fs-1"); }), HasSubstr("file_system_id"));
  EXPECT_THAT(message([](R& r) { r.mutable_root_directory()->set_path("a"); }), HasSubstr("path"));
  EXPECT_THAT(message([](R& r) {
                r.mutable_root_directory()->mutable_creation_info()->set_permissions("9");
              }),
              HasSubstr("permissions"));
  EXPECT_THAT(message([](R& r) {
                for (int i = 0; i < 17; ++i) r.mutable_posix_user()->add_secondary_gids(1);
              }),
              HasSubstr("at most 16"));
  EXPECT_THAT(message([](R& r) { r.set_gid_range_end(5); }), HasSubstr("gid_range_start"));
  EXPECT_THAT(message([](R& r) {
                r.set_gid_range_start(5);
                r.set_gid_range_end(4);
              }),
              HasSubstr("gid_range_end"));
  EXPECT_THAT(message([](R& r) {
                r.set_gid_range_start(5);
                r.set_gid_range_end(6);
                r.mutable_posix_user();
              }),
              HasSubstr("exclude each other"));
  EXPECT_THAT(message([](R& r) { r.set_fixed_uid(1); }), HasSubstr("posix_user"));
  EXPECT_THAT(message([](R& r) { r.add_tags(); }), HasSubstr("tags"));
  EXPECT_THAT(message([](R& r) { r.set_file_system_id("fs-00000000000000000"); }),
              HasSubstr("File system 'fs-00000000000000000' does not exist."));
}

TEST_F(AccessPoints, TheLimitHolds) {
  options_.access_points_max = 2;
  Restart();
  MakeAccessPoint(fs_, "a", "/a");
  MakeAccessPoint(fs_, "b", "/b");
  EXPECT_EQ(EfsName(manager_->CreateAccessPoint(AccessPointRequest(fs_, "c", "/c"))),
            "AccessPointLimitExceeded");
}

TEST_F(AccessPoints, DescribeInPages) {
  std::set<std::string> made;
  for (int i = 0; i < 25; ++i) {
    made.insert(MakeAccessPoint(fs_, "t" + std::to_string(i), "/p").access_point_id());
  }
  std::string other = MakeFileSystem("two").file_system_id();
  MakeAccessPoint(other, "x", "/x");
  v1::DescribeAccessPointsRequest request;
  request.set_file_system_id(fs_);
  request.set_max_results(10);
  std::set<std::string> seen;
  do {
    auto page = manager_->DescribeAccessPoints(request);
    ASSERT_TRUE(page.ok());
    for (const auto& ap : page->access_points()) {
      EXPECT_TRUE(seen.insert(ap.access_point_id()).second);
    }
    request.set_next_token(page->next_token());
  } while (!request.next_token().empty());
  EXPECT_EQ(seen, made);
  request.Clear();
  EXPECT_EQ(manager_->DescribeAccessPoints(request)->access_points_size(), 26);
  request.set_file_system_id(fs_);
  request.set_access_point_id(*made.begin());
  EXPECT_EQ(EfsName(manager_->DescribeAccessPoints(request)), "BadRequest");
  EXPECT_EQ(DescribeOne("fsap-00000000000000000").error().message(),
            "Access Point fsap-00000000000000000 does not exist.");
  EXPECT_EQ(EfsName(DescribeOne("fsap-nonsense")), "BadRequest");
}

TEST_F(AccessPoints, TheRootDirectoryIsMadeAtFirstUse) {
  auto ap = MakeAccessPoint(fs_, "a", "/data/a");
  uint32_t number = NumberOf(fs_);
  vfs::FileSystem* engine = engine_.real().GetFileSystem(number).value();
  EXPECT_EQ(engine->EnsureRealm("/data/a", std::nullopt).code(), Code::kNoEntry);
  auto entry = manager_->exports().Enter(number, ap.access_point_id());
  ASSERT_TRUE(entry.ok()) << entry.error().ToString();
  vfs::Caller caller{.uid = 0, .gid = 0, .gids = {}, .realm = (*entry)->realm};
  auto attributes = engine->GetAttributes(caller, (*entry)->root);
  ASSERT_TRUE(attributes.ok());
  EXPECT_EQ(attributes->mode, 0750u);
  EXPECT_EQ(attributes->uid, 1000u);
  EXPECT_EQ(engine->LookupParent(caller, (*entry)->root).code(), Code::kNoEntry);
  EXPECT_EQ(DescribeOne(ap.access_point_id())->used_files(), 1u);
  // The handle's number stays, over restarts too, without another first use.
  uint64_t handle = (*entry)->number;
  Restart();
  auto found = manager_->exports().Find(number, handle);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ((*found)->root, (*entry)->root);
  EXPECT_EQ((*found)->realm, (*entry)->realm);
}

TEST_F(AccessPoints, WithoutCreationInfoAMissingRootIsNoEntry) {
  auto request = AccessPointRequest(fs_, "a", "/missing");
  request.mutable_root_directory()->clear_creation_info();
  auto ap = manager_->CreateAccessPoint(request);
  ASSERT_TRUE(ap.ok());
  EXPECT_EQ(manager_->exports().Enter(NumberOf(fs_), ap->access_point_id()).code(), Code::kNoEntry);
}

// A tenant may write where an access point is to be: what it plants there leads nowhere.
TEST_F(AccessPoints, APlantedSymlinkIsNeitherFollowedNorEmptied) {
  uint32_t number = NumberOf(fs_);
  vfs::FileSystem* engine = engine_.real().GetFileSystem(number).value();
  vfs::RealmId secret = engine->EnsureRealm("/secret/inner", vfs::CreationInfo{}).value();
  const vfs::Caller root{.uid = 0, .gid = 0, .gids = {}, .realm = vfs::kRootRealm};
  vfs::FileId top = engine->RealmRoot(vfs::kRootRealm).value();
  int planted = 0;
  for (const char* target : {"/secret", "secret", "../secret", "/../secret/inner", "/", "link4"}) {
    std::string name = "link" + std::to_string(++planted);
    vfs::CreateOptions options;
    options.type = vfs::FileType::kSymlink;
    options.symlink_target = target;
    ASSERT_TRUE(engine->Create(root, top, name, options).ok());
    for (const std::string& path : {"/" + name, "/" + name + "/inner", "/" + name + "/new"}) {
      auto ap = MakeAccessPoint(fs_, path, path);
      EXPECT_EQ(manager_->exports().Enter(number, ap.access_point_id()).code(), Code::kNotDirectory)
          << path << " -> " << target;
      v1::DeleteAccessPointRequest request;
      request.set_access_point_id(ap.access_point_id());
      request.set_delete_root_directory(true);
      EXPECT_TRUE(manager_->DeleteAccessPoint(request).ok()) << path;
    }
    EXPECT_TRUE(engine->Lookup(root, top, name).ok());
  }
  EXPECT_EQ(engine->EnsureRealm("/secret/inner", std::nullopt).value(), secret);
  EXPECT_EQ(engine->EnsureRealm("/secret/new", std::nullopt).code(), Code::kNoEntry);
}

TEST_F(AccessPoints, ExportsDoNotLeadIntoOtherFileSystems) {
  auto ap = MakeAccessPoint(fs_, "a", "/a");
  std::string other = MakeFileSystem("two").file_system_id();
  EXPECT_EQ(manager_->exports().Enter(NumberOf(other), ap.access_point_id()).code(),
            Code::kNotFound);
  EXPECT_EQ(manager_->exports().Enter(NumberOf(fs_), "fsap-00000000000000000").code(),
            Code::kNotFound);
}

TEST_F(AccessPoints, TheIdentityReplacesTheCallers) {
  auto request = AccessPointRequest(fs_, "a", "/a");
  request.mutable_posix_user()->set_uid(10);
  request.mutable_posix_user()->set_gid(20);
  request.mutable_posix_user()->add_secondary_gids(30);
  auto ap = manager_->CreateAccessPoint(request);
  auto entry = manager_->exports().Enter(NumberOf(fs_), ap->access_point_id());
  ASSERT_TRUE((*entry)->user.has_value());
  EXPECT_EQ((*entry)->user->uid, 10u);
  EXPECT_EQ((*entry)->user->gid, 20u);
  EXPECT_EQ((*entry)->user->gids, std::vector<uint32_t>{30});
  auto plain = MakeAccessPoint(fs_, "b", "/b");
  EXPECT_FALSE((*manager_->exports().Enter(NumberOf(fs_), plain.access_point_id()))->user);
}

TEST_F(AccessPoints, ManyFirstUsesAtOnceMakeOneRoot) {
  auto ap = MakeAccessPoint(fs_, "a", "/deep/er/root");
  uint32_t number = NumberOf(fs_);
  std::vector<std::thread> threads;
  std::mutex mutex;
  std::set<const nfs4::Export*> entries;
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&] {
      auto entry = manager_->exports().Enter(number, ap.access_point_id());
      std::lock_guard lock(mutex);
      entries.insert(entry.ok() ? entry->get() : nullptr);
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries.count(nullptr), 0u);
}

TEST_F(AccessPoints, QuotasReachTheEngineAndAreToldAsSize) {
  auto request = AccessPointRequest(fs_, "a", "/a");
  request.set_quota_bytes(1 << 20);
  request.set_quota_files(10);
  std::string id = manager_->CreateAccessPoint(request)->access_point_id();
  uint32_t number = NumberOf(fs_);
  auto entry = manager_->exports().Enter(number, id);
  auto space = [&] { return (*entry)->engine->GetSpace((*entry)->realm).value(); };
  EXPECT_EQ(space().quota.bytes_max, uint64_t{1} << 20);
  EXPECT_EQ(space().quota.files_max, 10u);
  auto updated = SetQuota(id, 2 << 20, 0);
  ASSERT_TRUE(updated.ok());
  EXPECT_EQ(updated->total_bytes(), uint64_t{2} << 20);
  EXPECT_EQ(space().quota.bytes_max, uint64_t{2} << 20);
  EXPECT_EQ(space().quota.files_max, 0u);
  EXPECT_EQ(EfsName(SetQuota("fsap-00000000000000000", 0, 0)), "AccessPointNotFound");
}

TEST_F(AccessPoints, AQuotaBelowTheUsageIsRefused) {
  std::string id = MakeAccessPoint(fs_, "a", "/a").access_point_id();
  auto entry = manager_->exports().Enter(NumberOf(fs_), id);
  vfs::Caller root{.uid = 0, .gid = 0, .gids = {}, .realm = (*entry)->realm};
  auto file = (*entry)->engine->Create(root, (*entry)->root, "f", {});
  std::vector<std::byte> data(100'000);
  ASSERT_TRUE(
      (*entry)
          ->engine->Write(root, file->attributes.id, false, 0, data, vfs::Stability::kFileSync)
          .ok());
  auto refused = SetQuota(id, 50'000, 0);
  EXPECT_EQ(EfsName(refused), "BadRequest");
  EXPECT_THAT(refused.error().message(), HasSubstr("below the usage"));
  EXPECT_EQ(EfsName(SetQuota(id, 0, 1)), "BadRequest");
  EXPECT_EQ(EfsName(SetQuota(id, 1 << 20, 2)), "ok");
}

TEST_F(AccessPoints, OneRootDirectoryHasTheLargestOfItsQuotas) {
  auto small = AccessPointRequest(fs_, "small", "/shared");
  small.set_quota_bytes(1000);
  auto large = AccessPointRequest(fs_, "large", "/shared");
  large.set_quota_bytes(2000);
  std::string small_id = manager_->CreateAccessPoint(small)->access_point_id();
  std::string large_id = manager_->CreateAccessPoint(large)->access_point_id();
  uint32_t number = NumberOf(fs_);
  auto entry = manager_->exports().Enter(number, small_id);
  auto quota = [&] { return (*entry)->engine->GetSpace((*entry)->realm)->quota.bytes_max; };
  EXPECT_EQ(quota(), 2000u);
  EXPECT_EQ((*manager_->exports().Enter(number, large_id))->realm, (*entry)->realm);
  ASSERT_TRUE(DeleteAccessPoint(large_id, false).ok());
  EXPECT_EQ(quota(), 1000u);
}

TEST_F(AccessPoints, DeleteKeepsTheDataUnlessAsked) {
  std::string id = MakeAccessPoint(fs_, "a", "/a").access_point_id();
  uint32_t number = NumberOf(fs_);
  auto entry = manager_->exports().Enter(number, id);
  uint64_t handle = (*entry)->number;
  ASSERT_TRUE(DeleteAccessPoint(id, false).ok());
  EXPECT_EQ(manager_->exports().Find(number, handle).code(), Code::kNotFound);
  EXPECT_EQ(EfsName(DescribeOne(id)), "AccessPointNotFound");
  EXPECT_EQ(EfsName(DeleteAccessPoint(id, false)), "AccessPointNotFound");
  vfs::FileSystem* engine = engine_.real().GetFileSystem(number).value();
  EXPECT_TRUE(engine->EnsureRealm("/a", std::nullopt).ok());
}

TEST_F(AccessPoints, DeleteWithItsRootRemovesTheData) {
  std::string used = MakeAccessPoint(fs_, "a", "/a").access_point_id();
  std::string never_used = MakeAccessPoint(fs_, "b", "/b").access_point_id();
  uint32_t number = NumberOf(fs_);
  ASSERT_TRUE(manager_->exports().Enter(number, used).ok());
  ASSERT_TRUE(DeleteAccessPoint(used, true).ok());
  ASSERT_TRUE(DeleteAccessPoint(never_used, true).ok());
  vfs::FileSystem* engine = engine_.real().GetFileSystem(number).value();
  EXPECT_EQ(engine->EnsureRealm("/a", std::nullopt).code(), Code::kNoEntry);
  EXPECT_EQ(engine->EnsureRealm("/b", std::nullopt).code(), Code::kNoEntry);
}

TEST_F(AccessPoints, RootDirectoriesThatOthersNeedAreNotDeleted) {
  std::string whole = MakeAccessPoint(fs_, "whole", "/").access_point_id();
  EXPECT_EQ(EfsName(DeleteAccessPoint(whole, true)), "BadRequest");
  ASSERT_TRUE(DeleteAccessPoint(whole, false).ok());

  std::string outer = MakeAccessPoint(fs_, "outer", "/foo").access_point_id();
  std::string inner = MakeAccessPoint(fs_, "inner", "/foo/bar").access_point_id();
  std::string beside = MakeAccessPoint(fs_, "beside", "/foobar").access_point_id();
  auto refused = DeleteAccessPoint(outer, true);
  EXPECT_EQ(EfsName(refused), "ConflictException");
  EXPECT_EQ(refused.error().resource_id(), inner);
  EXPECT_EQ(refused.code(), Code::kInUse);
  EXPECT_EQ(DeleteAccessPoint(inner, true).error().resource_id(), outer);
  // "/foobar" is not in "/foo".
  EXPECT_TRUE(DeleteAccessPoint(beside, true).ok());
  EXPECT_TRUE(DeleteAccessPoint(inner, false).ok());
  std::string twin = MakeAccessPoint(fs_, "twin", "/foo").access_point_id();
  EXPECT_EQ(DeleteAccessPoint(outer, true).error().resource_id(), twin);
  EXPECT_TRUE(DeleteAccessPoint(twin, false).ok());
  EXPECT_TRUE(DeleteAccessPoint(outer, true).ok());
}

TEST_F(AccessPoints, TenThousandAreDescribedAndFoundByIdAtOnce) {
  using std::chrono::steady_clock;
  std::string last;
  auto begin = steady_clock::now();
  for (int i = 0; i < 10'000; ++i) {
    last =
        MakeAccessPoint(fs_, "t" + std::to_string(i), "/p" + std::to_string(i)).access_point_id();
  }
  const auto enough = 10 * (steady_clock::now() - begin);  // for what is not quadratic
  EXPECT_EQ(EfsName(manager_->CreateAccessPoint(AccessPointRequest(fs_, "over", "/over"))),
            "AccessPointLimitExceeded");
  begin = steady_clock::now();
  for (int i = 0; i < 1'000; ++i) ASSERT_TRUE(DescribeOne(last).ok());
  EXPECT_LT(steady_clock::now() - begin, enough);
  begin = steady_clock::now();
  Restart();
  EXPECT_LT(steady_clock::now() - begin, enough);
  EXPECT_TRUE(DescribeOne(last).ok());
}

}  // namespace
}  // namespace tarn::control
