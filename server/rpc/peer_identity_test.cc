#include "server/rpc/peer_identity.h"

#include <gtest/gtest.h>

#include <vector>

namespace tarn::rpc {
namespace {

PeerIdentity Of(const std::vector<std::string_view>& fields) {
  return PeerIdentity::Of(fields);
}

TEST(PeerIdentity, IsTheSameForTheSameFieldsOnly) {
  EXPECT_EQ(Of({"tls", "a/web"}), Of({"tls", "a/web"}));
  EXPECT_NE(Of({"a", "bc"}), Of({"ab", "c"}));
  EXPECT_NE(Of({"a", ""}), Of({"", "a"}));
  EXPECT_NE(Of({"a"}), Of({"a", ""}));
  EXPECT_NE(Of({"1:a"}), Of({"1", "a"}));
  EXPECT_NE(Of({}), PeerIdentity());
  EXPECT_TRUE(PeerIdentity().nobody());
}

TEST(PeerIdentity, IsReadFromItsText) {
  PeerIdentity identity = Of({"tls"});
  EXPECT_EQ(identity.Text().size(), PeerIdentity::kTextBytes);
  EXPECT_EQ(PeerIdentity::FromText(identity.Text()), identity);
  EXPECT_EQ(PeerIdentity().Text(), "");
  EXPECT_EQ(PeerIdentity::FromText(""), PeerIdentity());
  EXPECT_EQ(PeerIdentity::FromText(identity.Text().substr(1)), std::nullopt);
  EXPECT_EQ(PeerIdentity::FromText(std::string(PeerIdentity::kTextBytes, 'x')), std::nullopt);
}

}  // namespace
}  // namespace tarn::rpc
