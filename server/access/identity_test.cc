// Whose NFS clients a connection may go on with: two certificates of one node are two clients.
#include "server/access/testing.h"

namespace tarn::access {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)
using nfs_client::ClientOptions;

class IdentityTest : public AccessTest {
 protected:
  // All from one node: the same name and life, as its kernel gives to each of its mounts.
  static ClientOptions OfNode(ClientOptions options) {
    options.owner = "node";
    return options;
  }
  std::string PodToken(const std::string& name_space, const std::string& account,
                       const std::string& pod_uid, int64_t seconds = 600) {
    json claims = Claims(name_space, account, seconds);
    claims["kubernetes.io"]["pod"]["uid"] = pod_uid;
    return cluster_.Sign(claims);
  }
  static nfs4::SEQUENCE4args SequenceOf(const Client& client, uint32_t slot) {
    return {.sa_sessionid = client.session_id(),
            .sa_sequenceid = 1,
            .sa_slotid = slot,
            .sa_highest_slotid = slot,
            .sa_cachethis = false};
  }
  // What `by` gets that sends a request in the session of `of`, in a slot not used before.
  static nfs4::nfsstat4 UseSession(Client& by, const Client& of) {
    nfs_client::Compound look;
    look.Add(nfs4::OP_PUTROOTFH);
    return by.RunWith(SequenceOf(of, 9), look).status;
  }
};

TEST_F(IdentityTest, EachCertificateOfANodeIsAClientOfItsOwn) {
  std::string one = MakeAccessPoint("one");
  std::string two = MakeAccessPoint("two");
  CertificateIdentity bound;
  bound.file_system_id = fs_;
  bound.access_point_id = one;
  std::vector<std::unique_ptr<Client>> clients;
  for (const ClientOptions& options :
       {Plain(), Tls(), Tls(bound), As(PodToken("a", "web", "1"), one),
        As(PodToken("a", "web", "1"), two), As(PodToken("a", "web", "2"), one),
        As(PodToken("a", "api", "1"), one), As(PodToken("b", "web", "1"), one)}) {
    clients.push_back(Connect(OfNode(options)));
  }
  for (const auto& by : clients) {
    EXPECT_EQ(RootOf(*by), nfs4::NFS4_OK);
    for (const auto& of : clients) {
      if (by == of) continue;
      EXPECT_NE(by->client_id(), of->client_id());
      EXPECT_EQ(UseSession(*by, *of), nfs4::NFS4ERR_BADSESSION);
    }
  }
  for (const auto& by : clients) EXPECT_EQ(UseSession(*by, *by), nfs4::NFS4_OK);
}

TEST_F(IdentityTest, ARenewedCertificateGoesOn) {
  std::string point = MakeAccessPoint("point");
  auto before = Connect(OfNode(As(PodToken("a", "web", "1", 300), point)));
  auto file = before->Create(*before->Root(), "file");
  ASSERT_EQ(file.status, nfs4::NFS4_OK);
  // Another key, another certificate, another token.
  auto options = OfNode(As(PodToken("a", "web", "1", 900), point));
  auto after = std::move(Client::Mount(options, /*reclaim_complete=*/false).value);
  ASSERT_TRUE(after);
  EXPECT_EQ(after->client_id(), before->client_id());
  EXPECT_EQ(UseSession(*after, *before), nfs4::NFS4_OK);
  EXPECT_EQ(after->Read(file->fh, file->state, 0, 1).status, nfs4::NFS4_OK);
}

TEST_F(IdentityTest, TwoClustersMayNameTheSameAccount) {
  identity::TokenMaker other("ES256", "https://other.test");
  json entry = other.Entry();
  entry["cluster"] = "other";
  json file = {{"issuers", {cluster_.Entry(), entry}}};
  issuers_ = identity::TokenIssuers::Parse(file.dump()).value();
  auto here = Connect(OfNode(As(PodToken("a", "web", "1"))));
  json claims = other.Claims("a", "web");
  for (const char* time : {"nbf", "iat", "exp"}) claims[time] = Claims("a", "web")[time];
  claims["kubernetes.io"]["pod"]["uid"] = "1";
  auto there = Connect(OfNode(As(other.Sign(claims))));
  EXPECT_NE(here->client_id(), there->client_id());
  EXPECT_EQ(UseSession(*there, *here), nfs4::NFS4ERR_BADSESSION);
  // Whatever names it, the policy means this cluster's, unless it names the other one.
  for (const char* own :
       {R"("Principal": {"ServiceAccount": "a/web"})", R"("Principal": {"ServiceAccount": "a/*"})",
        R"("Principal": "*", "Condition": {"StringEquals": {"tarn:Namespace": "a"}})",
        R"("Principal": "*", "Condition": {"StringEquals":
                              {"tarn:ServiceAccount": "a/web"}})",
        R"("Principal": "*", "Condition": {"StringLike": {"tarn:Pod": "a/*"}})",
        R"("Principal": "*", "Condition": {"ForAnyValue:StringEquals":
                              {"tarn:Groups": "system:serviceaccounts:a"}})",
        R"("Principal": "*", "Condition": {"StringEquals":
                              {"tarn:Issuer": "https://cluster.test"}})"}) {
    PutPolicy(std::string(R"({"Version": "2012-10-17", "Statement": {"Effect": "Allow",
        "Action": "*", )") +
              own + "}}");
    EXPECT_EQ(RootOf(*here), nfs4::NFS4_OK) << own;
    EXPECT_EQ(RootOf(*there), nfs4::NFS4ERR_ACCESS) << own;
  }
  PutPreset({.writers = {"other:a/web"}});
  EXPECT_EQ(RootOf(*here), nfs4::NFS4ERR_ACCESS);
  EXPECT_EQ(RootOf(*there), nfs4::NFS4_OK);
}

// The default listener leads to whichever file system there is.
TEST_F(IdentityTest, ACertificateIsForItsFileSystemAlsoWhenTheListenerMoves) {
  auto bound = Connect(As(Token("a", "web")));
  auto free = Connect(Tls());
  ASSERT_EQ(RootOf(*bound), nfs4::NFS4_OK);
  v1::CreateFileSystemRequest request;
  request.set_creation_token("another");
  std::string another = manager_->CreateFileSystem(request)->file_system_id();
  for (const auto& root : manager_->exports().FileSystems()) {
    if (policy::IdOfArn(root->file_system_arn) != another) continue;
    manager_->exports().BindListener(control::kDefaultListenerTag, root->file_system);
  }
  EXPECT_EQ(RootOf(*bound), nfs4::NFS4ERR_ACCESS);
  EXPECT_EQ(RootOf(*free), nfs4::NFS4_OK);
}

TEST_F(IdentityTest, WhoMayNotMountMakesNoRootOfAnAccessPoint) {
  std::string point = MakeAccessPoint("point");
  PutPreset({.writers = {"a/*"}});
  auto bound = Connect(As(Token("b", "web"), point));
  EXPECT_EQ(RootOf(*bound), nfs4::NFS4ERR_ACCESS);
  // Without a certificate that leads there: by its name, for an account that may pass.
  PutPolicy(R"({"Version": "2012-10-17", "Statement": [
      {"Effect": "Allow", "Principal": {"ServiceAccount": "b/*"}, "Action": "*", "Condition":
          {"Null": {"elasticfilesystem:AccessPointArn": "true"}}}]})");
  auto walking = Connect(As(Token("b", "web")));
  EXPECT_EQ(walking->Walk(point).status, nfs4::NFS4ERR_ACCESS);
  EXPECT_EQ(walking->Mkdir(*walking->Root(), point).status, nfs4::NFS4ERR_ACCESS);
  EXPECT_EQ(walking->Walk("point").status, nfs4::NFS4ERR_NOENT);
  PutPreset({.writers = {"b/*"}});
  EXPECT_EQ(RootOf(*bound), nfs4::NFS4_OK);
  EXPECT_EQ(walking->Walk("point").status, nfs4::NFS4_OK);
}

TEST_F(IdentityTest, AnAccessPointThatComesLaterMayBePassedTo) {
  PutPreset({.only_by_access_points = true});
  auto plain = Connect(Plain());
  EXPECT_EQ(RootOf(*plain), nfs4::NFS4ERR_ACCESS);
  std::string point = MakeAccessPoint("point");
  EXPECT_EQ(RootOf(*plain), nfs4::NFS4_OK);
  EXPECT_EQ(plain->Walk(point).status, nfs4::NFS4_OK);
}

// Its callbacks would go in the clear to an address that it gives.
TEST_F(IdentityTest, AnEncryptedClientOf40IsNotCalledBack) {
  for (const auto& root : manager_->exports().FileSystems()) {
    manager_->exports().SetDelegations(root->file_system, true);
  }
  auto delegated = [&](ClientOptions options, bool called, int opens) {
    options.minor = 0;
    options.callbacks = true;
    auto client = Connect(options);
    auto root = client->Root();
    EXPECT_TRUE(!called || client->WaitCallback());
    EXPECT_EQ(client->Create(*root, options.owner).status, nfs4::NFS4_OK);
    nfs_client::OpenRequest read;
    read.access = nfs4::OPEN4_SHARE_ACCESS_READ;
    for (int i = 0; i < opens; ++i) {
      auto opened = client->Open(*root, options.owner, read);
      EXPECT_EQ(opened.status, nfs4::NFS4_OK);
      if (opened->result.delegation.delegation_type != nfs4::OPEN_DELEGATE_NONE) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return false;
  };
  EXPECT_TRUE(delegated(Plain(), true, 1000));
  EXPECT_FALSE(delegated(Tls(), false, 50));
}

// Who may make one pod or user may make many: they share a part.
TEST(TenantOf, IsTheNamespaceOrTheAwsAccount) {
  EXPECT_EQ(TenantOf({}), "");
  EXPECT_EQ(TenantOf({.account_name = "shop/web", .pod_uid = "1"}), "shop");
  EXPECT_EQ(TenantOf({.account_name = "east:shop/web"}), "east:shop");
  EXPECT_EQ(TenantOf({.aws_principal = "arn:aws:iam::111122223333:user/ann"}), "aws/111122223333");
}

}  // namespace
}  // namespace tarn::access
