// A crash after any write of any operation leaves the resource as it was before or as it is after.
#include <gmock/gmock.h>

#include "server/control/testing/world.h"

namespace tarn::control {
namespace {

class Recovery : public World {
 protected:
  // Runs `operation` with 0, 1, 2 ... writes before the crash, until it gets through; calls `check`
  // with what it returned after each restart.
  template <typename Operation, typename Check>
  void CrashAtEachWrite(Operation operation, Check check) {
    for (int writes = 0;; ++writes) {
      ASSERT_LT(writes, 20) << "the operation never gets through";
      engine_.writes_left = writes;
      bool done = operation(writes);
      Restart();
      if (HasFatalFailure()) return;
      check(done, writes);
      if (done) return;
    }
  }

  uint64_t CleanFsck() {
    auto report = manager_->Fsck({});
    return report.ok() ? report->problem_count() : 999;
  }
};

TEST_F(Recovery, CreateFileSystem) {
  CrashAtEachWrite(
      [&](int) {
        v1::CreateFileSystemRequest request;
        request.set_creation_token("one");
        return manager_->CreateFileSystem(request).ok();
      },
      [&](bool, int) {
        v1::DescribeFileSystemsRequest request;
        auto all = manager_->DescribeFileSystems(request);
        ASSERT_LE(all->file_systems_size(), 1);
        for (const auto& fs : all->file_systems()) EXPECT_EQ(fs.life_cycle_state(), "available");
        MakeFileSystem("one");
        EXPECT_EQ(manager_->DescribeFileSystems(request)->file_systems_size(), 1);
        EXPECT_EQ(CleanFsck(), 0u);
      });
}

TEST_F(Recovery, DeleteFileSystem) {
  std::string id = MakeFileSystem("one").file_system_id();
  for (int i = 0; i < 3; ++i) MakeAccessPoint(id, "t" + std::to_string(i), "/" + std::to_string(i));
  bool begun = false;
  CrashAtEachWrite(
      [&](int) {
        // After its first write it counts as begun: the next start finishes it.
        (void)DeleteFileSystem(id);
        begun = engine_.writes_left == 0 || begun;
        return !DescribeFileSystem(id).ok();
      },
      [&](bool, int writes) {
        v1::DescribeAccessPointsRequest request;
        int left = manager_->DescribeAccessPoints(request)->access_points_size();
        if (writes == 0) {
          EXPECT_EQ(DescribeFileSystem(id)->life_cycle_state(), "available");
          EXPECT_EQ(left, 3);
        } else {
          EXPECT_EQ(EfsName(DescribeFileSystem(id)), "FileSystemNotFound");
          EXPECT_EQ(left, 0);
        }
      });
  Restart();
  v1::DescribeAccessPointsRequest request;
  EXPECT_EQ(manager_->DescribeAccessPoints(request)->access_points_size(), 0);
}

TEST_F(Recovery, FirstUse) {
  std::string id = MakeFileSystem("one").file_system_id();
  auto request = AccessPointRequest(id, "t", "/data");
  request.set_quota_bytes(1 << 20);
  std::string ap = manager_->CreateAccessPoint(request)->access_point_id();
  uint32_t number = NumberOf(id);
  CrashAtEachWrite([&](int) { return manager_->exports().Enter(number, ap).ok(); },
                   [&](bool, int) {
                     auto entry = manager_->exports().Enter(number, ap);
                     ASSERT_TRUE(entry.ok());
                     auto space = (*entry)->engine->GetSpace((*entry)->realm);
                     EXPECT_EQ(space->quota.bytes_max, uint64_t{1} << 20);
                     EXPECT_EQ(CleanFsck(), 0u);
                   });
}

TEST_F(Recovery, QuotaWrittenButNotInTheEngine) {
  std::string id = MakeFileSystem("one").file_system_id();
  std::string ap = MakeAccessPoint(id, "t", "/data").access_point_id();
  auto entry = manager_->exports().Enter(NumberOf(id), ap);
  v1::UpdateAccessPointRequest request;
  request.set_access_point_id(ap);
  request.set_quota_bytes(5000);
  ASSERT_TRUE(manager_->UpdateAccessPoint(request).ok());
  // The engine forgets, as if the crash had come between.
  ASSERT_TRUE((*entry)->engine->SetQuota((*entry)->realm, {}).ok());
  Restart();
  EXPECT_EQ((*entry)->engine->GetSpace((*entry)->realm)->quota.bytes_max, 5000u);
}

TEST_F(Recovery, DeleteAccessPointWithItsRoot) {
  std::string id = MakeFileSystem("one").file_system_id();
  std::string ap = MakeAccessPoint(id, "t", "/data").access_point_id();
  uint32_t number = NumberOf(id);
  ASSERT_TRUE(manager_->exports().Enter(number, ap).ok());
  CrashAtEachWrite(
      [&](int) { return DeleteAccessPoint(ap, true).ok(); },
      [&](bool, int writes) {
        vfs::FileSystem* engine = engine_.real().GetFileSystem(number).value();
        bool there = engine->EnsureRealm("/data", std::nullopt).ok();
        EXPECT_EQ(there, writes == 0);
        EXPECT_EQ(DescribeOne(ap).ok(), writes == 0);
        if (writes != 0) {
          // The next crash test of the loop wants one to delete again.
          ap = MakeAccessPoint(id, "t" + std::to_string(writes), "/data").access_point_id();
          ASSERT_TRUE(manager_->exports().Enter(number, ap).ok());
        }
        EXPECT_EQ(CleanFsck(), 0u);
      });
}

TEST_F(Recovery, MountTargets) {
  std::string id = MakeFileSystem("one").file_system_id();
  CrashAtEachWrite([&](int) { return MakeMountTarget(id, "a", "127.0.0.9").ok(); },
                   [&](bool done, int) {
                     EXPECT_EQ(DescribeFileSystem(id)->number_of_mount_targets(), done ? 1u : 0u);
                     EXPECT_EQ(listeners_.tags.size(), done ? 1u : 0u);
                   });
}

TEST_F(Recovery, NumbersInHandlesAreNeverGivenTwice) {
  std::string id = MakeFileSystem("one").file_system_id();
  uint32_t number = NumberOf(id);
  std::set<uint64_t> seen;
  for (int i = 0; i < 600; ++i) {
    std::string token = "t" + std::to_string(i);
    std::string ap = MakeAccessPoint(id, token, "/p").access_point_id();
    EXPECT_TRUE(seen.insert((*manager_->exports().Enter(number, ap))->number).second);
    ASSERT_TRUE(DeleteAccessPoint(ap, false).ok());
    if (i % 100 == 0) Restart();
  }
}

TEST_F(Recovery, ARecordThatDoesNotParseStopsTheStartAndIsNamed) {
  ASSERT_TRUE(engine_.real().records().Put("control/ap/fsap-bad", "\xff\xff\xff garbage").ok());
  auto opened = Manager::Open(engine_, clock_, options_);
  EXPECT_EQ(opened.code(), Code::kCorrupt);
  EXPECT_THAT(opened.error().message(), testing::HasSubstr("control/ap/fsap-bad"));
  ASSERT_TRUE(engine_.real().records().Delete("control/ap/fsap-bad").ok());
}

}  // namespace
}  // namespace tarn::control
