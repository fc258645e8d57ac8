#include <gmock/gmock.h>

#include "server/control/testing/world.h"

namespace tarn::control {
namespace {

using testing::HasSubstr;

class MountTargets : public World {
 protected:
  std::string fs_ = MakeFileSystem("one").file_system_id();

  Result<v1::MountTargetDescription> DescribeOneTarget(const std::string& id) {
    v1::DescribeMountTargetsRequest request;
    request.set_mount_target_id(id);
    TRY(auto response, manager_->DescribeMountTargets(request));
    return response.mount_targets(0);
  }
};

TEST_F(MountTargets, WithAnAddressIsAListenerOfItsOwn) {
  auto target = MakeMountTarget(fs_, "a", "127.0.0.9");
  ASSERT_TRUE(target.ok()) << target.error().ToString();
  EXPECT_EQ(target->port(), 2049u);
  EXPECT_EQ(target->life_cycle_state(), "available");
  ASSERT_EQ(listeners_.tags.size(), 1u);
  uint64_t tag = listeners_.tags.begin()->second;
  EXPECT_TRUE(manager_->exports().Root(tag).ok());
  EXPECT_EQ(DescribeFileSystem(fs_)->number_of_mount_targets(), 1u);
  v1::DeleteMountTargetRequest request;
  request.set_mount_target_id(target->mount_target_id());
  ASSERT_TRUE(manager_->DeleteMountTarget(request).ok());
  EXPECT_TRUE(listeners_.tags.empty());
  EXPECT_EQ(manager_->exports().Root(tag).code(), Code::kNotFound);
  auto again = manager_->DeleteMountTarget(request);
  EXPECT_EQ(EfsName(again), "MountTargetNotFound");
  EXPECT_EQ(again.error().message(),
            "Mount target '" + target->mount_target_id() + "' does not exist.");
}

TEST_F(MountTargets, OneAZone) {
  auto first = MakeMountTarget(fs_, "a", "127.0.0.9");
  auto second = MakeMountTarget(fs_, "a", "127.0.0.10");
  EXPECT_EQ(EfsName(second), "MountTargetConflict");
  EXPECT_EQ(second.error().message(), "mount target already exists in this AZ");
  EXPECT_EQ(second.error().resource_id(), first->mount_target_id());
  EXPECT_TRUE(MakeMountTarget(fs_, "b", "127.0.0.10").ok());
}

TEST_F(MountTargets, AnAddressServesOneFileSystem) {
  ASSERT_TRUE(MakeMountTarget(fs_, "a", "127.0.0.9").ok());
  std::string other = MakeFileSystem("two").file_system_id();
  EXPECT_EQ(EfsName(MakeMountTarget(other, "a", "127.0.0.9")), "IpAddressInUse");
  EXPECT_EQ(EfsName(MakeMountTarget(other, "a", "9.9.9.9")), "IpAddressInUse");
  EXPECT_EQ(EfsName(MakeMountTarget(other, "a", "host.example")), "BadRequest");
  EXPECT_EQ(listeners_.tags.size(), 1u);
}

TEST_F(MountTargets, WithoutAnAddressStandsOnTheDefaultListener) {
  auto target = MakeMountTarget(fs_, "a");
  ASSERT_TRUE(target.ok());
  EXPECT_EQ(target->ip_address(), "0.0.0.0");
  EXPECT_TRUE(manager_->exports().Root(kDefaultListenerTag).ok());
  EXPECT_TRUE(MakeMountTarget(fs_, "b").ok());
  std::string other = MakeFileSystem("two").file_system_id();
  auto refused = MakeMountTarget(other, "a");
  EXPECT_EQ(EfsName(refused), "MountTargetConflict");
  EXPECT_THAT(refused.error().message(), HasSubstr("give an ip_address"));
  Restart();
  EXPECT_TRUE(manager_->exports().Root(kDefaultListenerTag).ok());
  v1::DescribeMountTargetsRequest list;
  list.set_file_system_id(fs_);
  auto targets = manager_->DescribeMountTargets(list);
  for (const auto& t : targets->mount_targets()) {
    v1::DeleteMountTargetRequest request;
    request.set_mount_target_id(t.mount_target_id());
    ASSERT_TRUE(manager_->DeleteMountTarget(request).ok());
  }
  EXPECT_FALSE(manager_->exports().Root(kDefaultListenerTag).ok());
  EXPECT_TRUE(MakeMountTarget(other, "a").ok());
}

TEST_F(MountTargets, AGivenIdMakesCreationIdempotent) {
  v1::CreateMountTargetRequest request;
  request.set_file_system_id(fs_);
  request.set_mount_target_id("fsmt-0123456789abcdef0");
  request.set_ip_address("127.0.0.9");
  ASSERT_TRUE(manager_->CreateMountTarget(request).ok());
  ASSERT_TRUE(manager_->CreateMountTarget(request).ok());
  EXPECT_EQ(listeners_.tags.size(), 1u);
  request.set_ip_address("127.0.0.10");
  EXPECT_EQ(EfsName(manager_->CreateMountTarget(request)), "MountTargetConflict");
}

TEST_F(MountTargets, ListenersComeBackAfterARestart) {
  auto target = MakeMountTarget(fs_, "a", "127.0.0.9");
  uint64_t tag = listeners_.tags.begin()->second;
  Restart();
  ASSERT_EQ(listeners_.tags.size(), 1u);
  EXPECT_EQ(listeners_.tags.begin()->second, tag);
  EXPECT_TRUE(manager_->exports().Root(tag).ok());
}

TEST_F(MountTargets, AnAddressThatIsGoneAtStartIsTriedAgain) {
  auto target = MakeMountTarget(fs_, "a", "127.0.0.9");
  listeners_.SetUnreachable("127.0.0.9");
  Restart();
  auto broken = DescribeOneTarget(target->mount_target_id());
  EXPECT_EQ(broken->life_cycle_state(), "error");
  EXPECT_EQ(broken->status_message(), "not of this machine");
  listeners_.SetUnreachable("");
  auto state = [&] { return DescribeOneTarget(target->mount_target_id())->life_cycle_state(); };
  for (int i = 0; i < 500 && state() == "error"; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  }
  EXPECT_EQ(state(), "available");
}

TEST_F(MountTargets, DescribeWantsExactlyOneId) {
  v1::DescribeMountTargetsRequest request;
  EXPECT_EQ(manager_->DescribeMountTargets(request).error().message(),
            "Must specify exactly one mutually exclusive parameter.");
  request.set_file_system_id(fs_);
  EXPECT_TRUE(manager_->DescribeMountTargets(request).ok());
  request.set_mount_target_id("fsmt-0123456789abcdef0");
  EXPECT_EQ(EfsName(manager_->DescribeMountTargets(request)), "BadRequest");
  request.clear_file_system_id();
  EXPECT_EQ(EfsName(manager_->DescribeMountTargets(request)), "MountTargetNotFound");
}

TEST_F(MountTargets, OfNoFileSystem) {
  EXPECT_EQ(EfsName(MakeMountTarget("fs-00000000000000000", "a")), "FileSystemNotFound");
  EXPECT_EQ(EfsName(MakeMountTarget("nonsense", "a")), "BadRequest");
  v1::CreateMountTargetRequest request;
  request.set_file_system_id(fs_);
  request.set_port(2050);
  EXPECT_THAT(manager_->CreateMountTarget(request).error().message(), HasSubstr("ip_address"));
}

class SecurityGroups : public MountTargets {
 protected:
  Result<v1::MountTargetDescription> Make(const std::string& zone,
                                          const std::vector<std::string>& groups,
                                          const std::string& address = "") {
    v1::CreateMountTargetRequest request;
    request.set_file_system_id(fs_);
    request.set_availability_zone_name(zone);
    request.set_ip_address(address);
    request.mutable_security_groups()->Add(groups.begin(), groups.end());
    return manager_->CreateMountTarget(request);
  }
  Result<v1::Empty> Set(const std::string& id, const std::vector<std::string>& groups) {
    v1::ModifyMountTargetSecurityGroupsRequest request;
    request.set_mount_target_id(id);
    request.mutable_security_groups()->Add(groups.begin(), groups.end());
    return manager_->ModifyMountTargetSecurityGroups(request);
  }
  bool May(const char* address, uint64_t tag = kDefaultListenerTag) {
    return manager_->exports().MayConnect(tag, IpAddress::Parse(address));
  }
};

TEST_F(SecurityGroups, AreOfTheListenerAndOutliveARestart) {
  std::string a = Make("a", {"10.0.0.0/8"})->mount_target_id();
  std::string b = Make("b", {"fd00::/8", "192.168.0.7"})->mount_target_id();
  auto own = Make("c", {"172.16.0.0/12"}, "127.0.0.9");
  ASSERT_TRUE(own.ok());
  uint64_t tag = listeners_.tags.begin()->second;
  for (int round = 0; round < 2; ++round) {
    EXPECT_TRUE(May("10.1.2.3") && May("fd00::1") && May("192.168.0.7"));
    EXPECT_FALSE(May("11.1.2.3") || May("192.168.0.8") || May("no address") || May("172.16.0.1"));
    EXPECT_TRUE(May("::ffff:10.1.2.3"));
    EXPECT_TRUE(May("172.16.0.1", tag));
    EXPECT_FALSE(May("10.1.2.3", tag));
    Restart();
  }
  EXPECT_TRUE(Set(a, {"11.0.0.0/8"}).ok());
  EXPECT_FALSE(May("10.1.2.3"));
  EXPECT_TRUE(May("11.1.2.3") && May("fd00::1"));
  EXPECT_TRUE(Set(b, {}).ok());
  EXPECT_TRUE(May("1.2.3.4") && May("no address"));
  v1::DescribeMountTargetSecurityGroupsRequest request;
  request.set_mount_target_id(a);
  auto described = manager_->DescribeMountTargetSecurityGroups(request);
  ASSERT_EQ(described->security_groups_size(), 1);
  EXPECT_EQ(described->security_groups(0), "11.0.0.0/8");
}

TEST_F(SecurityGroups, GoWithTheirMountTarget) {
  ASSERT_TRUE(Make("a", {"10.0.0.0/8"}).ok());
  auto b = Make("b", {"11.0.0.0/8"});
  EXPECT_TRUE(May("11.0.0.1"));
  v1::DeleteMountTargetRequest request;
  request.set_mount_target_id(b->mount_target_id());
  ASSERT_TRUE(manager_->DeleteMountTarget(request).ok());
  EXPECT_FALSE(May("11.0.0.1"));
  EXPECT_TRUE(May("10.0.0.1"));
}

TEST_F(SecurityGroups, AreCheckedBeforeAnythingIsMade) {
  auto bad = Make("a", {"10.0.0.0/8", "10.0.0.0/33"});
  EXPECT_EQ(EfsName(bad), "BadRequest");
  EXPECT_THAT(bad.error().message(), HasSubstr("security_groups: '10.0.0.0/33'"));
  EXPECT_EQ(EfsName(Make("a", std::vector<std::string>(10'001, "10.0.0.1"))),
            "SecurityGroupLimitExceeded");
  std::string id = Make("a", {"10.0.0.0/8"})->mount_target_id();
  EXPECT_EQ(EfsName(Set(id, {"pods"})), "BadRequest");
  EXPECT_EQ(EfsName(Set("fsmt-0123456789abcdef0", {})), "MountTargetNotFound");
  EXPECT_TRUE(May("10.0.0.1"));
  EXPECT_FALSE(May("11.0.0.1"));
  engine_.writes_left = 0;
  EXPECT_FALSE(Set(id, {"11.0.0.0/8"}).ok());
  EXPECT_FALSE(May("11.0.0.1"));
}

TEST_F(SecurityGroups, AClosedServerLetsNobodyInUntilItHasAList) {
  options_.closed = true;
  Restart();
  auto undecided = [this] {
    return manager_->exports().EntryOf(kDefaultListenerTag, IpAddress::Parse("10.0.0.1")) ==
           ExportTable::Entry::kUndecided;
  };
  EXPECT_TRUE(undecided());
  std::string empty = Make("a", {})->mount_target_id();
  EXPECT_TRUE(undecided());
  std::string id = Make("b", {"10.0.0.0/8"})->mount_target_id();
  for (int round = 0; round < 2; ++round) {
    EXPECT_TRUE(May("10.0.0.1"));
    EXPECT_FALSE(May("11.0.0.1") || undecided());
    Restart();
  }
  ASSERT_TRUE(Set(id, {"0.0.0.0/0"}).ok());
  EXPECT_TRUE(May("11.0.0.1"));
  ASSERT_TRUE(Set(id, {}).ok());
  EXPECT_TRUE(undecided());
  auto own = Make("c", {}, "127.0.0.9");
  ASSERT_TRUE(own.ok());
  EXPECT_FALSE(May("10.0.0.1", listeners_.tags.begin()->second));
}

TEST_F(SecurityGroups, NodeIsTheNodeOfTheServersPod) {
  options_.own_node = {*IpRange::Parse("10.244.1.1")};
  Restart();
  auto own = Make("a", {"node"}, "127.0.0.9");
  ASSERT_TRUE(own.ok()) << own.error().ToString();
  EXPECT_TRUE(May("10.244.1.1", listeners_.tags.begin()->second));
  EXPECT_FALSE(May("10.244.1.2", listeners_.tags.begin()->second));
  std::string id = Make("b", {"node", "10.0.0.7"})->mount_target_id();
  EXPECT_TRUE(May("10.244.1.1") && May("10.0.0.7"));
  EXPECT_FALSE(May("10.244.1.2"));
  // As it is now, not as it was when the list was made.
  options_.own_node = {};
  Restart();
  EXPECT_FALSE(May("10.244.1.1"));
  EXPECT_TRUE(May("10.0.0.7"));
  ASSERT_TRUE(Set(id, {"node"}).ok());
  EXPECT_FALSE(May("10.0.0.7") || May("10.244.1.1")) << "a list of nobody is no empty list";
}

}  // namespace
}  // namespace tarn::control
