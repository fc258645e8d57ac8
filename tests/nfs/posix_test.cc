// Who may do what by mode bits, as clients of every version see it: POSIX.1-2017 section 4.5, and
// AUTH_SYS (RFC 5531, appendix A), whose calls have room for 16 groups. The engines' own suite has
// each rule more thoroughly (server/engine/testing).
#include <numeric>

#include "server/identity/user_groups.h"
#include "tests/nfs/world.h"

namespace tarn::nfs_test {
namespace {

constexpr uint32_t kAll = ACCESS4_READ | ACCESS4_MODIFY | ACCESS4_EXECUTE;

class PosixTest : public NfsTest {
 protected:
  std::unique_ptr<Client> As(uint32_t uid, uint32_t gid, const std::vector<uint32_t>& gids = {}) {
    return Another("client " + std::to_string(++clients_),
                   {.uid = uid, .gid = gid, .gids = gids, .none = false});
  }
  void Chown(const Fh& file, uint32_t uid, uint32_t gid) {
    SetAttributes set;
    set.owner = std::to_string(uid);
    set.owner_group = std::to_string(gid);
    ASSERT_EQ(client->SetAttributesOf(file, set), NFS4_OK);
  }
  void Chmod(const Fh& file, uint32_t mode) {
    SetAttributes set;
    set.mode = mode;
    ASSERT_EQ(client->SetAttributesOf(file, set), NFS4_OK);
  }
  Fh Directory(std::string_view name, uint32_t uid, uint32_t gid, uint32_t mode) {
    auto made = client->Mkdir(root, name);
    EXPECT_TRUE(made.ok());
    Chown(*made, uid, gid);
    Chmod(*made, mode);
    return *made;
  }
  // Both what ACCESS says and what OPEN does.
  static bool Reads(Client& who, const Fh& directory, std::string_view name) {
    auto file = who.Lookup(directory, name);
    if (!file.ok()) return false;
    bool told = (*who.Access(*file, kAll) & ACCESS4_READ) != 0;
    OpenRequest reading;
    reading.access = OPEN4_SHARE_ACCESS_READ;
    auto opened = who.Open(directory, name, reading);
    EXPECT_EQ(told, opened.ok()) << name;
    if (!opened.ok()) return false;
    EXPECT_EQ(who.Close(*opened), NFS4_OK);
    return told;
  }
  void Know(const std::string& file) {
    auto parsed = identity::UserGroups::Parse(file);
    ASSERT_TRUE(parsed.ok()) << parsed.error().ToString();
    world.SettleGroups([groups = *parsed](vfs::Caller& caller) {
      groups->Apply(caller.uid, caller.gid, caller.gids);
    });
  }

  int clients_ = 0;
};

TEST_P(PosixTest, OwnerGroupAndOthersEachHaveTheirBits) {
  auto owner = As(1000, 5);
  auto group = As(1001, 50);
  auto member = As(1002, 6, {7, 50});
  auto other = As(1003, 7);
  struct Case {
    uint32_t mode;
    bool owner, group, other;
  };
  // The first class that fits decides, also where a later one would allow more.
  for (const Case& c : {Case{0400, true, false, false}, Case{0040, false, true, false},
                        Case{0004, false, false, true}, Case{0440, true, true, false},
                        Case{0044, false, true, true}, Case{0404, true, false, true}}) {
    std::string name = "f" + std::to_string(c.mode);
    Fh file = MakeFile(root, name, "x");
    Chown(file, 1000, 50);
    Chmod(file, c.mode);
    EXPECT_EQ(Reads(*owner, root, name), c.owner) << c.mode;
    EXPECT_EQ(Reads(*group, root, name), c.group) << c.mode;
    EXPECT_EQ(Reads(*member, root, name), c.group) << c.mode;
    EXPECT_EQ(Reads(*other, root, name), c.other) << c.mode;
    EXPECT_TRUE(Reads(*client, root, name)) << "root";
  }
}

TEST_P(PosixTest, SetgidDirectoriesGiveTheirGroup) {
  Fh directory = Directory("shared", 1000, 70, 02777);
  auto user = As(1001, 8);
  auto below = user->Mkdir(directory, "below");
  ASSERT_TRUE(below.ok());
  auto seen = client->GetAttributes(*below);
  EXPECT_EQ(seen->owner_group, "70");
  EXPECT_EQ(seen->mode & 02000, 02000u);
  auto file = user->Create(directory, "f");
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(client->GetAttributes(file->fh)->owner_group, "70");
  EXPECT_EQ(client->GetAttributes(file->fh)->owner, "1001");
  EXPECT_EQ(user->Close(*file), NFS4_OK);
}

TEST_P(PosixTest, SquashedRootIsNobodyInEveryGroup) {
  Fh own = Directory("own", 0, 0, 0700);
  Fh group = Directory("group", 0, 0, 0070);
  Fh nobody = Directory("nobody", kSquashedId, kSquashedId, 0700);
  world.DecideRights([](const Export&) { return Rights{.root = false}; });
  EXPECT_EQ(client->Mkdir(own, "a").status, NFS4ERR_ACCESS);
  EXPECT_EQ(client->Mkdir(nobody, "a").status, NFS4_OK);
  // Neither is group 0 left to those who are not root.
  EXPECT_EQ(As(1000, 0)->Mkdir(group, "b").status, NFS4ERR_ACCESS);
  EXPECT_EQ(As(1000, 5, {0})->Mkdir(group, "c").status, NFS4ERR_ACCESS);
}

TEST_P(PosixTest, SixteenGroupsOfACallCount) {
  std::vector<uint32_t> gids(16);
  std::iota(gids.begin(), gids.end(), 100U);
  auto user = As(1000, 5, gids);
  for (uint32_t gid : gids) {
    Fh directory = Directory("d" + std::to_string(gid), 0, gid, 0070);
    EXPECT_EQ(user->Mkdir(directory, "x").status, NFS4_OK) << gid;
  }
}

TEST_P(PosixTest, TheServersOwnListHasAThousandGroups) {
  constexpr uint32_t kGroups = 1000;
  std::string gids;
  for (uint32_t i = 0; i < kGroups; ++i) gids += (i > 0 ? "," : "") + std::to_string(10'000 + i);
  Know(R"({"users": [{"uid": 1000, "gid": 1000, "gids": [)" + gids + "]}]}");
  auto user = As(1000, 1000, {10'000});
  for (uint32_t i : {0U, 16U, 17U, 500U, kGroups - 1}) {
    uint32_t gid = 10'000 + i;
    Fh directory = Directory("d" + std::to_string(i), 0, gid, 0070);
    EXPECT_EQ(user->Mkdir(directory, "x").status, NFS4_OK) << "group " << i;
    // chgrp and setgid go by the same list.
    Fh file = MakeFile(root, "f" + std::to_string(i), "x");
    Chown(file, 1000, 1000);
    SetAttributes chgrp;
    chgrp.owner_group = std::to_string(gid);
    EXPECT_EQ(user->SetAttributesOf(file, chgrp), NFS4_OK) << "group " << i;
  }
  Fh foreign = Directory("foreign", 0, 10'000 + kGroups, 0070);
  EXPECT_EQ(user->Mkdir(foreign, "x").status, NFS4ERR_ACCESS);
}

TEST_P(PosixTest, WhatTheServersListDoesNotHaveACallDoesNotGive) {
  Fh directory = Directory("d", 0, 50, 0070);
  auto liar = As(1000, 50, {50, 51});
  EXPECT_EQ(liar->Mkdir(directory, "before").status, NFS4_OK);
  Know(R"({"users": [{"uid": 1000, "gid": 1000, "gids": [60]}]})");
  EXPECT_EQ(liar->Mkdir(directory, "after").status, NFS4ERR_ACCESS);
  // What it makes has a group of its own.
  Fh everybody = Directory("everybody", 0, 0, 0777);
  auto made = liar->Mkdir(everybody, "x");
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(client->GetAttributes(*made)->owner_group, "1000");
  auto chosen = As(1000, 60)->Mkdir(everybody, "y");
  ASSERT_TRUE(chosen.ok());
  EXPECT_EQ(client->GetAttributes(*chosen)->owner_group, "60");
}

TEST_P(PosixTest, WhoIsNotListedIsBelievedOrNot) {
  Fh directory = Directory("d", 0, 50, 0070);
  auto user = As(2000, 50, {51});
  Know(R"({"users": []})");
  EXPECT_EQ(user->Mkdir(directory, "a").status, NFS4_OK);
  Know(R"({"unlisted": "none", "users": []})");
  EXPECT_EQ(user->Mkdir(directory, "b").status, NFS4ERR_ACCESS);
}

TEST_P(PosixTest, AnAccessPointsUserGoesBeforeTheServersList) {
  Know(R"({"unlisted": "none", "users": [{"uid": 1000, "gid": 1000}]})");
  AccessPoint point =
      world.AddAccessPoint("/ap", {.owner_uid = 0, .owner_gid = 77, .permissions = 0070},
                           PosixUser{.uid = 1000, .gid = 7, .gids = {77}});
  auto user = As(3000, 3000);
  auto inside = user->Walk(point.name);
  ASSERT_TRUE(inside.ok());
  EXPECT_EQ(user->Mkdir(*inside, "x").status, NFS4_OK);
}

NFS_SUITE(PosixTest, EverySetting());

}  // namespace
}  // namespace tarn::nfs_test
