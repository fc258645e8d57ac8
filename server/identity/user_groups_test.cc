#include "server/identity/user_groups.h"

#include <gtest/gtest.h>

#include <numeric>
#include <string>

namespace tarn::identity {
namespace {

constexpr const char* kFile = R"({"users": [
    {"uid": 1000, "gid": 100, "gids": [3, 1, 2]},
    {"uid": 1001, "gid": 101}]})";

using Ids = std::vector<uint32_t>;

struct Seen {
  uint32_t gid;
  Ids gids;
  bool operator==(const Seen&) const = default;
};

Seen Applied(const std::string& file, uint32_t uid, Seen of_call) {
  auto groups = UserGroups::Parse(file);
  EXPECT_TRUE(groups.ok()) << groups.error().ToString();
  if (groups.ok()) (*groups)->Apply(uid, of_call.gid, of_call.gids);
  return of_call;
}

std::string WhyNot(const std::string& file) {
  auto groups = UserGroups::Parse(file);
  EXPECT_EQ(groups.code(), Code::kInvalid);
  return groups.ok() ? "" : groups.error().message();
}

std::string UserWith(size_t gids) {
  std::string list = "0";
  for (size_t i = 1; i < gids; ++i) list += "," + std::to_string(i);
  return R"({"users": [{"uid": 1, "gid": 5000, "gids": [)" + list + "]}]}";
}

TEST(UserGroups, TheFileCountsAndNotTheCall) {
  EXPECT_EQ(Applied(kFile, 1000, {100, {7, 8}}), (Seen{100, {1, 2, 3}}));
  EXPECT_EQ(Applied(kFile, 1001, {101, {1, 2, 3}}), (Seen{101, {}}));
}

TEST(UserGroups, TheCallChoosesAmongTheGroupsOfTheUser) {
  EXPECT_EQ(Applied(kFile, 1000, {2, {}}), (Seen{2, {1, 2, 3, 100}})) << "newgrp";
  EXPECT_EQ(Applied(kFile, 1000, {0, {0}}), (Seen{100, {1, 2, 3}})) << "not one of theirs";
}

TEST(UserGroups, WhoIsNotListedIsBelievedUnlessTheFileSaysNo) {
  const Seen call{7, {8, 9}};
  EXPECT_EQ(Applied(kFile, 2000, call), call);
  EXPECT_EQ(Applied(R"({"unlisted": "call", "users": []})", 2000, call), call);
  EXPECT_EQ(Applied(R"({"unlisted": "none", "users": []})", 2000, call), (Seen{kNoGroup, {}}));
}

TEST(UserGroups, ManyGroupsAndNoMore) {
  Ids all(kUserGroupsMax - 1);
  std::iota(all.begin(), all.end(), 0U);
  EXPECT_EQ(Applied(UserWith(kUserGroupsMax - 1), 1, {5000, {}}), (Seen{5000, all}));
  EXPECT_NE(WhyNot(UserWith(kUserGroupsMax)).find("users[0].gids"), std::string::npos);
}

TEST(UserGroups, SaysWhatIsWrongWithAFile) {
  EXPECT_NE(WhyNot("[]").find("'users'"), std::string::npos);
  EXPECT_NE(WhyNot("{").find("JSON"), std::string::npos);
  EXPECT_NE(WhyNot(R"({"users": [5]})").find("users[0]"), std::string::npos);
  EXPECT_NE(WhyNot(R"({"users": [{"gid": 1}]})").find("users[0].uid is missing"),
            std::string::npos);
  EXPECT_NE(WhyNot(R"({"users": [{"uid": 1}]})").find("users[0].gid is missing"),
            std::string::npos);
  EXPECT_NE(WhyNot(R"({"users": [{"uid": -1, "gid": 1}]})").find("users[0].uid must be"),
            std::string::npos);
  EXPECT_NE(WhyNot(R"({"users": [{"uid": 1, "gid": "1"}]})").find("users[0].gid must be"),
            std::string::npos);
  EXPECT_NE(WhyNot(R"({"users": [{"uid": 1, "gid": 1, "gids": [4294967295]}]})")
                .find("users[0].gids[0] must be"),
            std::string::npos);
  EXPECT_NE(WhyNot(R"({"users": [{"uid": 1, "gid": 1}, {"uid": 1, "gid": 2}]})")
                .find("users[1].uid is there twice"),
            std::string::npos);
  EXPECT_NE(WhyNot(R"({"users": [{"uid": 1, "gid": 1, "groups": []}]})").find("users[0].groups"),
            std::string::npos);
  EXPECT_NE(WhyNot(R"({"unlisted": "all", "users": []})").find("unlisted must be"),
            std::string::npos);
}

}  // namespace
}  // namespace tarn::identity
