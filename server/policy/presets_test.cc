#include "server/policy/presets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/policy/testing/cases.h"

namespace tarn::policy {
namespace {

using testing::HasSubstr;

std::string Rights(const Preset& preset, std::string_view words) {
  auto text = MakePolicy(preset);
  EXPECT_TRUE(text.ok()) << text.error().message();
  auto policy = Policy::Compile(*text, kFileSystem);
  EXPECT_TRUE(policy.ok()) << policy.error().message() << "\n" << *text;
  OwnedRequest owned;
  ParseRequest(words, owned);
  return Text((*policy)->Decide(owned.request));
}

TEST(Presets, NothingEnforcedIsOpen) {
  EXPECT_EQ(Rights({}, ""), "mwr");
}

TEST(Presets, EachEnforcesItsOwn) {
  EXPECT_EQ(Rights({.enforce_tls = true}, ""), "---");
  EXPECT_EQ(Rights({.enforce_tls = true}, "tls"), "mwr");
  EXPECT_EQ(Rights({.enforce_identity = true}, "tls"), "---");
  EXPECT_EQ(Rights({.enforce_identity = true}, "sa=a/x"), "mwr");
  EXPECT_EQ(Rights({.deny_root = true}, "sa=a/x"), "mw-");
  EXPECT_EQ(Rights({.read_only = true}, "sa=a/x"), "m-r");
  EXPECT_EQ(Rights({.only_by_access_points = true}, ""), "---");
  EXPECT_EQ(Rights({.only_by_access_points = true}, "ap"), "mwr");
}

TEST(Presets, SomeNamespacesOnly) {
  Preset preset{.full = {"ops/*"}, .writers = {"a/*", "b/web"}, .readers = {"c/*"}};
  EXPECT_EQ(Rights(preset, "sa=ops/x"), "mwr");
  EXPECT_EQ(Rights(preset, "sa=a/x"), "mw-");
  EXPECT_EQ(Rights(preset, "sa=b/web"), "mw-");
  EXPECT_EQ(Rights(preset, "sa=b/db"), "---");
  EXPECT_EQ(Rights(preset, "sa=c/x"), "m--");
  EXPECT_EQ(Rights(preset, "sa=d/x"), "---");
  EXPECT_EQ(Rights(preset, ""), "---");
  EXPECT_EQ(Rights({.readers = {"*"}}, "sa=d/x"), "m--");
}

// Every combination of what is enforced, for every kind of request.
TEST(Presets, Compose) {
  for (unsigned bits = 0; bits < 64; ++bits) {
    Preset preset{.enforce_tls = (bits & 1u) != 0,
                  .enforce_identity = (bits & 2u) != 0,
                  .deny_root = (bits & 4u) != 0,
                  .read_only = (bits & 8u) != 0,
                  .only_by_access_points = (bits & 16u) != 0};
    if ((bits & 32u) != 0) preset.full = {"a/*"};
    for (bool tls : {false, true}) {
      for (bool access_point : {false, true}) {
        for (std::string who : {"", "sa=a/x", "sa=b/x"}) {
          bool mount = (tls || !preset.enforce_tls) && (!who.empty() || !preset.enforce_identity) &&
                       (access_point || !preset.only_by_access_points) &&
                       (preset.full.empty() || who == "sa=a/x");
          std::string expected = mount ? "mwr" : "---";
          if (preset.read_only) expected[1] = '-';
          if (preset.deny_root) expected[2] = '-';
          std::string words = who + (tls ? " tls" : "") + (access_point ? " ap" : "");
          EXPECT_EQ(Rights(preset, words), expected) << bits << " " << words;
        }
      }
    }
  }
}

TEST(Presets, WhatDoesNotGoTogether) {
  EXPECT_THAT(MakePolicy({.read_only = true, .writers = {"a/*"}}).error().message(),
              HasSubstr("read-only"));
  EXPECT_THAT(MakePolicy({.readers = {"a"}}).error().message(), HasSubstr("namespace/name"));
  EXPECT_EQ(MakePolicy({.readers = {"\xff"}}).error().api_name(), "InvalidPolicyException");
}

}  // namespace
}  // namespace tarn::policy
