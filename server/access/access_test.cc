// Who may do what, over real sockets: the control API's resources, policies, certificates, tokens.
#include "server/access/testing.h"

namespace tarn::access {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)

TEST_F(AccessTest, WithoutAPolicyEverybodyMayDoEverything) {
  auto plain = Connect(Plain());
  EXPECT_EQ(MakeIn(*plain, "plain"), nfs4::NFS4_OK);
  auto encrypted = Connect(Tls());
  EXPECT_EQ(MakeIn(*encrypted, "encrypted"), nfs4::NFS4_OK);
}

TEST_F(AccessTest, OnlyAddressesOfTheSecurityGroupsConnect) {
  auto running = Connect(Plain());
  EXPECT_EQ(RootOf(*running), nfs4::NFS4_OK);
  SetGroups({"10.0.0.0/8", "127.0.0.0/8"});
  EXPECT_EQ(RootOf(*running), nfs4::NFS4_OK);
  EXPECT_EQ(MakeIn(*Connect(Tls()), "a"), nfs4::NFS4_OK);
  SetGroups({"10.0.0.0/8", "fd00::/8"});
  EXPECT_EQ(RootOf(*running), nfs_client::kNoAnswer);
  EXPECT_TRUE(TurnedAway(Plain()));
  EXPECT_NE(Audited(1).at(0).find("denied by network"), std::string::npos) << Audited(1).at(0);
  // Also who is somebody.
  EXPECT_TRUE(TurnedAway(As(Token("web", "frontend"))));
  SetGroups({"127.0.0.1"});
  EXPECT_EQ(MakeIn(*Connect(Plain()), "b"), nfs4::NFS4_OK);
}

TEST_F(AccessTest, WhereNoListIsYetNobodyConnectsAndNobodyIsRefused) {
  manager_->exports().CloseWithoutList();
  EXPECT_TRUE(TurnedAway(Plain()));
  EXPECT_TRUE(TurnedAway(As(Token("web", "frontend"))));
  EXPECT_TRUE(Audited(1).empty()) << Audited(1).at(0);
  SetGroups({"127.0.0.1"});
  EXPECT_EQ(MakeIn(*Connect(Plain()), "a"), nfs4::NFS4_OK);
}

TEST_F(AccessTest, APolicyCountsForRunningConnectionsAtOnce) {
  auto plain = Connect(Plain());
  auto encrypted = Connect(Tls());
  EXPECT_EQ(MakeIn(*plain, "one"), nfs4::NFS4_OK);
  PutPreset({.enforce_tls = true});
  EXPECT_EQ(MakeIn(*plain, "two"), nfs4::NFS4ERR_ACCESS);
  EXPECT_EQ(MakeIn(*encrypted, "two"), nfs4::NFS4_OK);
  PutPreset({.read_only = true});
  EXPECT_EQ(RootOf(*plain), nfs4::NFS4_OK);
  EXPECT_EQ(MakeIn(*plain, "three"), nfs4::NFS4ERR_ROFS);
  PutPreset({.deny_root = true});
  EXPECT_EQ(MakeIn(*plain, "three"), nfs4::NFS4ERR_ACCESS);  // the root directory is root's
  v1::DeleteFileSystemPolicyRequest request;
  request.set_file_system_id(fs_);
  ASSERT_TRUE(manager_->DeleteFileSystemPolicy(request).ok());
  EXPECT_EQ(MakeIn(*plain, "three"), nfs4::NFS4_OK);
}

// What certificates and policies say is asked besides.
TEST_F(AccessTest, TheServersListOfGroupsCounts) {
  auto root = Connect(Plain());
  nfs_client::SetAttributes set;
  set.mode = 0070;
  set.owner_group = "50";
  ASSERT_EQ(root->Mkdir(*root->Root(), "team", set).status, nfs4::NFS4_OK);
  auto options = Tls();
  options.identity = {.uid = 1000, .gid = 1000, .gids = {50}, .none = false};
  auto user = Connect(options);
  auto made_in_team = [&](const std::string& name) {
    return user->Mkdir(*user->Walk("team"), name).status;
  };
  EXPECT_EQ(made_in_team("a"), nfs4::NFS4_OK);
  auto know = [&](const std::string& gids) {
    user_groups_ = identity::UserGroups::Parse(
                       R"({"users": [{"uid": 1000, "gid": 1000, "gids": [)" + gids + "]}]}")
                       .value();
  };
  know("");
  EXPECT_EQ(made_in_team("b"), nfs4::NFS4ERR_ACCESS);
  know("50");
  EXPECT_EQ(made_in_team("b"), nfs4::NFS4_OK);
  PutPreset({.read_only = true});
  EXPECT_EQ(made_in_team("c"), nfs4::NFS4ERR_ROFS);
}

// Each connection has its own decision, and no use of one keeps an old decision of the other.
TEST_F(AccessTest, BothConnectionsOfASessionLoseARightAtOnce) {
  auto client = Connect(Tls());
  ASSERT_EQ(MakeIn(*client, "first"), nfs4::NFS4_OK);
  auto first = client->AddConnection();
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(MakeIn(*client, "second"), nfs4::NFS4_OK);
  auto on_both = [&](const std::string& name, nfs4::nfsstat4 expected) {
    EXPECT_EQ(MakeIn(*client, name + "-a"), expected);
    first = client->Use(std::move(first));
    EXPECT_EQ(MakeIn(*client, name + "-b"), expected);
  };
  PutPreset({.read_only = true});
  on_both("read-only", nfs4::NFS4ERR_ROFS);
  PutPolicy(R"({"Statement": {"Effect": "Allow", "Principal": "*", "Action": "*"}})");
  on_both("back", nfs4::NFS4_OK);
  PutPreset({.enforce_tls = true, .writers = {"a/*"}});
  on_both("gone", nfs4::NFS4ERR_ACCESS);
}

// The three pods of one claim: one writes, one reads, one is not let in.
TEST_F(AccessTest, NamespacesHaveRightsOfTheirOwn) {
  PutPreset({.enforce_tls = true, .writers = {"a/*"}, .readers = {"b/reader"}});
  std::string point = MakeAccessPoint("shared");
  auto a = Connect(As(Token("a", "anybody"), point));
  auto b = Connect(As(Token("b", "reader"), point));
  auto c = Connect(As(Token("c", "anybody"), point));
  EXPECT_EQ(MakeIn(*a, "made"), nfs4::NFS4_OK);
  EXPECT_EQ(MakeIn(*b, "other"), nfs4::NFS4ERR_ROFS);
  EXPECT_EQ(b->Walk("made").status, nfs4::NFS4_OK);
  EXPECT_EQ(RootOf(*c), nfs4::NFS4ERR_ACCESS);
  auto other = Connect(As(Token("b", "writer"), point));
  EXPECT_EQ(RootOf(*other), nfs4::NFS4ERR_ACCESS);
  auto anonymous = Connect(Tls());
  EXPECT_EQ(RootOf(*anonymous), nfs4::NFS4ERR_ACCESS);
}

TEST_F(AccessTest, AServiceAccountIsInItsGroups) {
  PutPolicy(R"({"Version": "2012-10-17", "Statement": [
      {"Effect": "Allow", "Principal": "*", "Action": "*"},
      {"Effect": "Deny", "Principal": "*", "Action": "*", "Condition":
          {"ForAnyValue:StringEquals": {"tarn:Groups": "system:serviceaccounts:a"}}}]})");
  EXPECT_EQ(RootOf(*Connect(As(Token("a", "web")))), nfs4::NFS4ERR_ACCESS);
  EXPECT_EQ(RootOf(*Connect(As(Token("b", "web")))), nfs4::NFS4_OK);
  EXPECT_EQ(RootOf(*Connect(Plain())), nfs4::NFS4_OK);
}

TEST_F(AccessTest, ACertificateLeadsIntoItsAccessPointAlone) {
  std::string one = MakeAccessPoint("one");
  std::string two = MakeAccessPoint("two");
  CertificateIdentity identity;
  identity.file_system_id = fs_;
  identity.access_point_id = one;
  auto bound = Connect(Tls(identity));
  auto root = bound->Root();
  ASSERT_EQ(root.status, nfs4::NFS4_OK);
  EXPECT_EQ(bound->GetAttributes(*root)->owner, "1000");
  EXPECT_EQ(bound->LookupParent(*root).status, nfs4::NFS4ERR_NOENT);
  EXPECT_EQ(bound->Walk(two).status, nfs4::NFS4ERR_NOENT);
  ASSERT_EQ(bound->Mkdir(*root, "mine").status, nfs4::NFS4_OK);
  // Handles that somebody else was given: of the file system's root, and of a sibling's.
  auto outside = Connect(Plain());
  auto top = outside->Root();
  auto sibling = outside->Walk(two);
  ASSERT_EQ(sibling.status, nfs4::NFS4_OK);
  EXPECT_EQ(bound->GetAttributes(*top).status, nfs4::NFS4ERR_ACCESS);
  EXPECT_EQ(bound->GetAttributes(*sibling).status, nfs4::NFS4ERR_ACCESS);
  EXPECT_EQ(bound->Lookup(*top, two).status, nfs4::NFS4ERR_ACCESS);
  EXPECT_EQ(outside->Walk(one + "/mine").status, nfs4::NFS4_OK);
}

TEST_F(AccessTest, ACertificateForAnotherFileSystemIsTurnedAway) {
  CertificateIdentity identity;
  identity.file_system_id = "fs-00000000000000001";
  EXPECT_TRUE(TurnedAway(Tls(identity)));
  identity.file_system_id = fs_;
  identity.access_point_id = "fsap-00000000000000001";
  EXPECT_TRUE(TurnedAway(Tls(identity)));
  identity.access_point_id = MakeAccessPoint("point");
  EXPECT_FALSE(TurnedAway(Tls(identity)));
}

TEST_F(AccessTest, ATokenThatIsNotGenuineIsTurnedAway) {
  identity::TokenMaker stranger;
  EXPECT_FALSE(TurnedAway(As(Token("a", "web"))));
  EXPECT_TRUE(TurnedAway(As(stranger.Sign(Claims("a", "web")))));
  EXPECT_TRUE(TurnedAway(As(cluster_.Sign(Claims("a", "web", -60)))));
  EXPECT_TRUE(TurnedAway(As("not a token")));
  issuers_ = nullptr;
  EXPECT_TRUE(TurnedAway(As(Token("a", "web"))));
  EXPECT_FALSE(TurnedAway(Tls()));
}

TEST_F(AccessTest, ARunningConnectionOutlivesItsToken) {
  PutPreset({.writers = {"a/*"}});
  auto client = Connect(As(cluster_.Sign(Claims("a", "web", 5 - identity::kClockSkew.count()))));
  ASSERT_NE(client, nullptr);
  EXPECT_EQ(RootOf(*client), nfs4::NFS4_OK);
  std::this_thread::sleep_for(std::chrono::milliseconds(5500));
  EXPECT_EQ(RootOf(*client), nfs4::NFS4_OK);
}

// Where only access points may be mounted, a client without a certificate still walks to them.
TEST_F(AccessTest, ARootLeadsOnlyToAccessPointsThatMayBeMounted) {
  std::string point = MakeAccessPoint("point");
  auto plain = Connect(Plain());
  ASSERT_EQ(MakeIn(*plain, "hidden"), nfs4::NFS4_OK);
  PutPreset({.only_by_access_points = true});
  auto root = plain->Root();
  EXPECT_EQ(root.status, nfs4::NFS4_OK);
  // Linux asks before it looks.
  EXPECT_EQ(*plain->Access(*root, nfs4::ACCESS4_LOOKUP | nfs4::ACCESS4_READ),
            uint32_t{nfs4::ACCESS4_LOOKUP});
  EXPECT_EQ(plain->Lookup(*root, "hidden").status, nfs4::NFS4ERR_ACCESS);
  EXPECT_EQ(plain->Walk(point).status, nfs4::NFS4_OK);
  PutPreset({.enforce_identity = true});
  EXPECT_EQ(RootOf(*plain), nfs4::NFS4ERR_ACCESS) << "no access point may be mounted either";
}

TEST_F(AccessTest, RootOfAnAccessPointNeedsRootAccess) {
  PutPreset({.deny_root = true});
  std::string point = MakeAccessPoint("root", 0);
  auto client = Connect(Plain());
  auto root = client->Walk(point);
  ASSERT_EQ(root.status, nfs4::NFS4_OK);
  EXPECT_EQ(client->Mkdir(*root, "new").status, nfs4::NFS4ERR_ACCESS);
}

TEST_F(AccessTest, ManyAccessPointsOfOneConnectionAreAuditedOnce) {
  std::vector<std::string> points;
  for (int i = 0; i < 20; ++i) points.push_back(MakeAccessPoint("p" + std::to_string(i)));
  auto client = Connect(Plain());
  auto enter_all = [&] {
    auto root = client->Root();
    ASSERT_EQ(root.status, nfs4::NFS4_OK);
    for (const std::string& point : points) {
      EXPECT_EQ(client->Lookup(*root, point).status, nfs4::NFS4_OK);
    }
  };
  enter_all();
  const uint64_t after_one = journal_.last_sequence();
  enter_all();
  EXPECT_EQ(journal_.last_sequence(), after_one);
}

TEST_F(AccessTest, EachDecisionIsAudited) {
  const std::string point = MakeAccessPoint("audited");
  PutPreset({.enforce_tls = true, .writers = {"a/*"}, .readers = {"b/*"}});
  auto writer = Connect(As(Token("a", "web"), point));
  EXPECT_EQ(MakeIn(*writer, "one"), nfs4::NFS4_OK);
  EXPECT_EQ(Audited(1).at(0), "a/web TLSv1.3 granted");
  const uint64_t after_one = journal_.last_sequence();
  EXPECT_EQ(MakeIn(*writer, "two"), nfs4::NFS4_OK);
  EXPECT_EQ(journal_.last_sequence(), after_one) << "once, not with each call";
  auto stranger = Connect(As(Token("c", "web"), point));
  EXPECT_EQ(RootOf(*stranger), nfs4::NFS4ERR_ACCESS);
  EXPECT_NE(Audited(1).at(0).find("c/web TLSv1.3 denied by policy: elasticfilesystem:ClientMount"),
            std::string::npos)
      << Audited(1).at(0);
  EXPECT_TRUE(TurnedAway(As("no token", point)));
  EXPECT_NE(Audited(1).at(0).find(" TLSv1.3 denied by identity: "), std::string::npos)
      << Audited(1).at(0);
  PutPreset({.readers = {"b/*"}});
  EXPECT_EQ(RootOf(*writer), nfs4::NFS4ERR_ACCESS);
  EXPECT_NE(Audited(1).at(0).find("a/web TLSv1.3 denied by policy"), std::string::npos);
}

}  // namespace
}  // namespace tarn::access
