#include "server/keys/data_key.h"

#include <gtest/gtest.h>

#include "server/keys/base64.h"
#include "server/keys/key_ring.h"
#include "server/keys/testing/key_files.h"
#include "server/keys/told.h"

namespace tarn::keys {
namespace {

class DataKeyTest : public testing::Test {
 protected:
  DataKeyTest() {
    files_.Write("v1", std::string(32, 'a'));
    provider_ = OpenProvider("file://" + files_.path()).value();
  }
  KeyFiles files_;
  std::unique_ptr<KeyProvider> provider_;
  SecretBytes key_ = MakeDataKey().value();
};

TEST_F(DataKeyTest, IsWrappedAndUnwrapped) {
  auto blob = WrapDataKey(*provider_, "fs-1", key_, {});
  ASSERT_TRUE(blob.ok());
  EXPECT_EQ(blob->find(key_.view()), std::string::npos);
  auto back = UnwrapDataKey(*provider_, "fs-1", *blob, {});
  ASSERT_TRUE(back.ok()) << back.error().ToString();
  EXPECT_TRUE(back->Equals(key_.view()));
  EXPECT_EQ(VersionOfBlob(*blob).value(), provider_->Check({}).value());
}

TEST_F(DataKeyTest, OfAnotherFileSystemIsRefused) {
  auto blob = WrapDataKey(*provider_, "fs-1", key_, {}).value();
  auto other = UnwrapDataKey(*provider_, "fs-2", blob, {});
  EXPECT_EQ(other.code(), Code::kCorrupt);
}

TEST_F(DataKeyTest, WhatIsNoBlobIsCorrupt) {
  EXPECT_EQ(UnwrapDataKey(*provider_, "fs-1", "", {}).code(), Code::kCorrupt);
  EXPECT_EQ(UnwrapDataKey(*provider_, "fs-1", "\xff\xff\xff", {}).code(), Code::kCorrupt);
  auto blob = WrapDataKey(*provider_, "fs-1", key_, {}).value();
  for (size_t i = 0; i < blob.size(); ++i) {
    std::string changed = blob;
    changed[i] ^= 4;
    auto result = UnwrapDataKey(*provider_, "fs-1", changed, {});
    // The part of a version before its fingerprint is only a name.
    if (result.ok()) {
      EXPECT_TRUE(result->Equals(key_.view()));
    } else {
      EXPECT_TRUE(IsDefinite(result.code())) << result.error().ToString();
    }
  }
}

TEST_F(DataKeyTest, IsRewrappedWithoutAChange) {
  auto blob = WrapDataKey(*provider_, "fs-1", key_, {}).value();
  files_.Write("v2", std::string(32, 'b'));
  auto again = RewrapDataKey(*provider_, blob, {});
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(VersionOfBlob(*again)->starts_with("v2#"));
  files_.Remove("v1");
  EXPECT_TRUE(UnwrapDataKey(*provider_, "fs-1", *again, {})->Equals(key_.view()));
}

TEST(KeyRing, TakesNamesAndADefault) {
  auto ring = KeyRing::Open({"a=file:///a", "b=kmsv2:unix:///b.sock"}, "b");
  ASSERT_TRUE(ring.ok()) << ring.error().ToString();
  EXPECT_NE((*ring)->Find("a"), nullptr);
  EXPECT_EQ((*ring)->Find("c"), nullptr);
  EXPECT_EQ((*ring)->default_name(), "b");
  EXPECT_EQ((*KeyRing::Open({"a=file:///a"}, ""))->default_name(), "a");
  EXPECT_EQ((*KeyRing::Open({"a=file:///a", "b=file:///b"}, ""))->default_name(), "");
}

TEST(KeyRing, RefusesWhatIsWrong) {
  const std::vector<std::vector<std::string>> wrong = {{"file:///a"},
                                                       {"=file:///a"},
                                                       {"A=file:///a"},
                                                       {"a b=file:///a"},
                                                       {"a=file:///a", "a=file:///b"},
                                                       {"a=nothing"}};
  for (const auto& keys : wrong) {
    EXPECT_EQ(KeyRing::Open(keys, "").code(), Code::kInvalid) << keys.front();
  }
  EXPECT_EQ(KeyRing::Open({"a=file:///a"}, "b").code(), Code::kInvalid);
}

TEST(Base64, RoundsTripAndRefusesTheRest) {
  for (const std::string& text : {std::string("a"), std::string("ab"), std::string("abc"),
                                  std::string(32, '\0'), std::string("\xff\x00\x01", 3)}) {
    const SecretBytes encoded = EncodeBase64(text);
    auto decoded = DecodeBase64(encoded.view());
    ASSERT_TRUE(decoded.has_value());
    EXPECT_TRUE(decoded->Equals(text));
  }
  for (const char* text : {"", "a", "abc", "ab=c", "a===", "ab c", " abc", "ab\nc", "ab-_"}) {
    EXPECT_FALSE(DecodeBase64(text).has_value()) << text;
  }
}

TEST(Told, IsOneShortLine) {
  EXPECT_EQ(Told("two\nlines\r\n"), "two lines");
  EXPECT_EQ(Told(std::string(1000, 'x')).size(), kToldBytesMax + 3);
}

}  // namespace
}  // namespace tarn::keys
