#include "server/nfs4/state/client_key.h"

#include <gtest/gtest.h>

namespace tarn::nfs4 {
namespace {

rpc::PeerIdentity Somebody() {
  constexpr std::string_view kFields[] = {"tls"};
  return rpc::PeerIdentity::Of(kFields);
}

// In the records of servers that knew no identities.
TEST(ClientKey, OfNobodyIsAsItAlwaysWas) {
  EXPECT_EQ((ClientKey{.identity = {}, .file_system = 12, .minor = 1, .owner = "me"}).Text(),
            "12/1/me");
}

TEST(ClientKey, IsReadFromItsText) {
  for (const auto& identity : {rpc::PeerIdentity(), Somebody()}) {
    ClientKey key{.identity = identity, .file_system = 3, .minor = 2, .owner = "a/b@c"};
    std::string text = key.Text();
    ClientKey read = ClientKey::Parse(text);
    EXPECT_EQ(read.identity, identity);
    EXPECT_EQ(read.file_system, 3U);
    EXPECT_EQ(read.minor, 2U);
    EXPECT_EQ(read.owner, "a/b@c");
  }
}

// A client may give itself any name.
TEST(ClientKey, NobodyCanNameItselfSomebody) {
  ClientKey somebody{.identity = Somebody(), .file_system = 3, .minor = 1, .owner = "me"};
  const std::string name = somebody.Text();
  ClientKey nobody{.identity = {}, .file_system = 3, .minor = 1, .owner = name};
  std::string text = nobody.Text();
  EXPECT_TRUE(ClientKey::Parse(text).identity.nobody());
}

TEST(ClientKey, WhatIsNoneIsNobodys) {
  for (const char* text : {"", "x", "1", "1/", "1/2", "@", "@/1/1/me", "@12/1/1/me"}) {
    EXPECT_EQ(ClientKey::Parse(text).minor, 0U) << text;
    EXPECT_TRUE(ClientKey::Parse(text).identity.nobody()) << text;
  }
}

}  // namespace
}  // namespace tarn::nfs4
