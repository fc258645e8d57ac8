// The small parts: quantities, handles, references, what a child must contain, certificates.
#include <gtest/gtest.h>

#include "common/volume_handle.h"
#include "operator/children.h"
#include "operator/pki.h"
#include "operator/quantity.h"
#include "operator/references.h"

namespace tarn::op {
namespace {

TEST(Quantity, UnderstandsWhatKubernetesDoes) {
  auto value = [](const char* text) { return *ParseQuantity("f", text); };
  EXPECT_EQ(value("0"), 0u);
  EXPECT_EQ(value("10Gi"), 10ull << 30);
  EXPECT_EQ(value("1.5Ki"), 1536u);
  EXPECT_EQ(value("100M"), 100000000u);
  EXPECT_EQ(value("1e3"), 1000u);
  EXPECT_EQ(value("2E"), 2000000000000000000u);
  EXPECT_EQ(value("1500m"), 2u);
  EXPECT_EQ(value("0.1Gi"), 107374183u);  // rounded up
  EXPECT_EQ(value("9223372036854775807"), 9223372036854775807u);
  for (const char* bad : {"", "-1", "x", "1Q", "1.2.3", "Gi", "9Ei1", "1e", "8Ei", "1e99", " 1"}) {
    auto parsed = ParseQuantity("spec.quota.size", bad);
    EXPECT_EQ(parsed.code(), Code::kInvalid) << bad;
    EXPECT_TRUE(parsed.error().message().starts_with("spec.quota.size")) << bad;
  }
}

TEST(Handle, NamesFileSystemAndAccessPoint) {
  EXPECT_EQ(FileSystemIdOfHandle("efs:fs-1::fsap-2"), "fs-1");
  EXPECT_EQ(AccessPointIdOfHandle("efs:fs-1::fsap-2"), "fsap-2");
  EXPECT_EQ(FileSystemIdOfHandle("fs-1:/a:fsap-2"), "fs-1");
  EXPECT_EQ(AccessPointIdOfHandle("fs-1:/a:fsap-2"), "fsap-2");
  EXPECT_EQ(FileSystemIdOfHandle("fs-1"), "fs-1");
  EXPECT_EQ(AccessPointIdOfHandle("fs-1:/fsap-x"), "");
  EXPECT_EQ(FileSystemIdOfHandle("vol-1"), "");
  EXPECT_EQ(FileSystemIdOfHandle(""), "");
}

Json Resource(const std::string& ns, const Json& spec) {
  return {{"metadata", {{"name", "r"}, {"namespace", ns}}}, {"spec", spec}};
}

TEST(Reference, ByNameInItsOwnNamespaceOrByIdAnywhere) {
  ObjectName fs{"default", "shared"};
  EXPECT_TRUE(RefersTo(Resource("default", {{"fileSystemRef", {{"name", "shared"}}}}), fs, "fs-1"));
  EXPECT_FALSE(RefersTo(Resource("other", {{"fileSystemRef", {{"name", "shared"}}}}), fs, "fs-1"));
  EXPECT_TRUE(RefersTo(
      Resource("other", {{"fileSystemRef", {{"name", "shared"}, {"namespace", "default"}}}}), fs,
      "fs-1"));
  EXPECT_TRUE(RefersTo(Resource("other", {{"fileSystemId", "fs-1"}}), fs, "fs-1"));
  EXPECT_FALSE(RefersTo(Resource("other", {{"fileSystemId", "fs-2"}}), fs, "fs-1"));
}

TEST(Reference, OtherNamespacesMustBeAllowed) {
  Json fs = Resource("default", {{"allowedNamespaces", {"web"}}});
  EXPECT_TRUE(Allows(fs, "default"));
  EXPECT_TRUE(Allows(fs, "web"));
  EXPECT_FALSE(Allows(fs, "db"));
  fs["spec"]["allowedNamespaces"] = {"*"};
  EXPECT_TRUE(Allows(fs, "db"));
}

TEST(Sentence, NamesAFewAndCountsTheRest) {
  EXPECT_EQ(Sentence({"a", "b"}), "a, b");
  std::vector<std::string> many(kMaxNamedUsers + 3, "x");
  EXPECT_TRUE(Sentence(many).ends_with("and 3 more"));
}

TEST(Contains, IgnoresWhatTheClusterAdds) {
  Json live = {{"a", 1}, {"b", {{"c", "x"}, {"added", true}}}, {"l", {{{"n", 1}, {"d", 2}}}}};
  EXPECT_TRUE(Contains(live, {{"a", 1}, {"b", {{"c", "x"}}}, {"l", {{{"n", 1}}}}}));
  EXPECT_FALSE(Contains(live, {{"a", 2}}));
  EXPECT_FALSE(Contains(live, {{"missing", Json::object()}}));
  EXPECT_FALSE(Contains(live, {{"l", Json::array()}}));
}

TEST(Names, IdsFollowFromTheUid) {
  std::string id = IdFromUid("fs-", "u-1");
  EXPECT_EQ(id.size(), 20u);
  EXPECT_EQ(id, IdFromUid("fs-", "u-1"));
  EXPECT_NE(id, IdFromUid("fs-", "u-2"));
  EXPECT_EQ(JoinHostPort("10.0.0.1", 9400), "10.0.0.1:9400");
  EXPECT_EQ(JoinHostPort("fd00::1", 9400), "[fd00::1]:9400");
}

TEST(Pki, ALeafIsGoodForExactlyItsNamesAndItsAuthorityOnly) {
  constexpr int64_t kNow = 2'000'000'000;
  auto ca = MakeCa("one", kNow), other = MakeCa("two", kNow);
  ASSERT_TRUE(ca.ok() && other.ok());
  LeafRequest request{.common_name = "fs-1",
                      .dns_names = {"shared.default.svc", "fs-1.efs.tarn"},
                      .ip_addresses = {"10.96.0.9", "fd00::9"},
                      .server = true};
  auto leaf = MakeLeaf(*ca, request, kNow);
  ASSERT_TRUE(leaf.ok());
  auto good = [&](int64_t now) {
    return LeafIsGood(ca->certificate, leaf->certificate, request, now);
  };
  EXPECT_TRUE(good(kNow));
  EXPECT_TRUE(good(kNow + kLeafLifeSeconds / 3 * 2 - 1));
  EXPECT_FALSE(good(kNow + kLeafLifeSeconds / 3 * 2 + 1));
  EXPECT_FALSE(LeafIsGood(other->certificate, leaf->certificate, request, kNow));
  EXPECT_FALSE(LeafIsGood(ca->certificate, "no pem", request, kNow));
  LeafRequest same = request;
  request.ip_addresses = {"10.96.0.10", "fd00::9"};
  EXPECT_FALSE(good(kNow));
  request.ip_addresses = {"fd00::9"};
  EXPECT_FALSE(good(kNow));
  request = same;
  request.dns_names.pop_back();
  EXPECT_FALSE(good(kNow));
  request = same;
  request.uris = {"spiffe://tarn.dev/control/reader"};  // a role is a name, too
  EXPECT_FALSE(good(kNow));
  EXPECT_EQ(MakeLeaf({"x", "y"}, request, kNow).code(), Code::kCorrupt);
}

TEST(Pki, AnAuthoritySaysWhenItWasMadeAndWhenItEnds) {
  constexpr int64_t kNow = 2'000'000'000;
  auto ca = MakeCa("one", kNow), other = MakeCa("two", kNow);
  auto life = LifeOfCa(*ca);
  ASSERT_TRUE(life.ok());
  EXPECT_EQ(life->made_at, kNow);
  EXPECT_EQ(life->ends_at, kNow + kCaLifeSeconds);
  EXPECT_EQ(LifeOfCa({ca->certificate, other->key}).code(), Code::kCorrupt);
  EXPECT_EQ(LifeOfCa({"", ""}).code(), Code::kCorrupt);
}

}  // namespace
}  // namespace tarn::op
