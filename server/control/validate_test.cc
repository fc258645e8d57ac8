#include "server/control/validate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace tarn::control {
namespace {

using testing::HasSubstr;

TEST(Validate, PathsThatEfsTakes) {
  for (const char* path : {"/", "/a", "/a/b/c/d", "/with space/x", "/-", "/a.b", "/é"}) {
    EXPECT_TRUE(CheckPath(path).ok()) << path;
  }
  EXPECT_TRUE(CheckPath("/" + std::string(99, 'a')).ok());
}

TEST(Validate, PathsThatEfsRefuses) {
  for (const char* path :
       {"", "a", "a/b", "//", "/a/", "/a//b", "/.", "/..", "/a/..", "/.hidden", "/a/../b", "/a$",
        "/a*", "/a\nb", "/a;b", "/a`b", "/{a}", "/a/b/c/d/e"}) {
    EXPECT_EQ(CheckPath(path).code(), Code::kInvalid) << path;
  }
  EXPECT_THAT(CheckPath("/" + std::string(100, 'a')).error().message(),
              HasSubstr("100 characters"));
  EXPECT_THAT(CheckPath("/a/b/c/d/e").error().message(), HasSubstr("5 levels, at most 4"));
  EXPECT_EQ(CheckPath(std::string_view("/a\0b", 4)).code(), Code::kInvalid);
}

TEST(Validate, WithinIsByComponents) {
  EXPECT_TRUE(IsWithin("/foo/bar", "/foo"));
  EXPECT_TRUE(IsWithin("/foo", "/foo"));
  EXPECT_TRUE(IsWithin("/foo", "/"));
  EXPECT_FALSE(IsWithin("/foobar", "/foo"));
  EXPECT_FALSE(IsWithin("/foo", "/foo/bar"));
}

TEST(Validate, Permissions) {
  EXPECT_EQ(ParsePermissions("0755").value(), 0755u);
  EXPECT_EQ(ParsePermissions("7777").value(), 07777u);
  EXPECT_EQ(ParsePermissions("700").value(), 0700u);
  for (const char* text : {"", "75", "07555", "0855", "rwx", "-755", "0x1f"}) {
    EXPECT_EQ(ParsePermissions(text).code(), Code::kInvalid) << text;
  }
}

TEST(Validate, Tokens) {
  EXPECT_TRUE(CheckToken("client_token", "a").ok());
  EXPECT_TRUE(CheckToken("client_token", std::string(64, 'a')).ok());
  EXPECT_FALSE(CheckToken("client_token", "").ok());
  EXPECT_THAT(CheckToken("client_token", std::string(65, 'a')).error().message(),
              HasSubstr("client_token has 65 characters"));
}

v1::Tag MakeTag(const std::string& key, const std::string& value) {
  v1::Tag tag;
  tag.set_key(key);
  tag.set_value(value);
  return tag;
}

TEST(Validate, TagRules) {
  auto check = [](const std::string& key, const std::string& value) {
    Tags tags;
    *tags.Add() = MakeTag(key, value);
    return CheckTags(tags).code();
  };
  EXPECT_EQ(check("Name", ""), Code::kOk);
  EXPECT_EQ(check(std::string(128, 'k'), std::string(256, 'v')), Code::kOk);
  EXPECT_EQ(check("kubernetes.io/pv-name", "a_b.c:d/e=f+g-h@i j"), Code::kOk);
  EXPECT_EQ(check("Größe", "ü"), Code::kOk);
  EXPECT_EQ(check("", "v"), Code::kInvalid);
  EXPECT_EQ(check(std::string(129, 'k'), "v"), Code::kInvalid);
  EXPECT_EQ(check("k", std::string(257, 'v')), Code::kInvalid);
  EXPECT_EQ(check("aws:k", "v"), Code::kInvalid);
  EXPECT_EQ(check("AwS:k", "v"), Code::kInvalid);
  EXPECT_EQ(check("aws", "v"), Code::kOk);
  EXPECT_EQ(check("k\n", "v"), Code::kInvalid);
  EXPECT_EQ(check("k", "<v>"), Code::kInvalid);
  Tags tags;
  for (int i = 0; i < 50; ++i) *tags.Add() = MakeTag("k" + std::to_string(i), "");
  EXPECT_TRUE(CheckTags(tags).ok());
  *tags.Add() = MakeTag("k50", "");
  EXPECT_THAT(CheckTags(tags).error().message(), HasSubstr("at most 50"));
  tags.RemoveLast();
  *tags.Mutable(1) = MakeTag("k0", "");
  EXPECT_THAT(CheckTags(tags).error().message(), HasSubstr("twice"));
}

TEST(Validate, ThroughputModesThatGoTogether) {
  EXPECT_TRUE(CheckThroughput("generalPurpose", "elastic", 0).ok());
  EXPECT_TRUE(CheckThroughput("maxIO", "bursting", 0).ok());
  EXPECT_TRUE(CheckThroughput("maxIO", "provisioned", 1).ok());
  EXPECT_TRUE(CheckThroughput("generalPurpose", "provisioned", 3414).ok());
  EXPECT_FALSE(CheckThroughput("maxIO", "elastic", 0).ok());
  EXPECT_FALSE(CheckThroughput("fast", "elastic", 0).ok());
  EXPECT_FALSE(CheckThroughput("generalPurpose", "turbo", 0).ok());
  EXPECT_FALSE(CheckThroughput("generalPurpose", "elastic", 5).ok());
  EXPECT_FALSE(CheckThroughput("generalPurpose", "provisioned", 0).ok());
  EXPECT_FALSE(CheckThroughput("generalPurpose", "provisioned", 0.5).ok());
  EXPECT_FALSE(CheckThroughput("generalPurpose", "provisioned", std::nan("")).ok());
  EXPECT_EQ(CheckThroughput("generalPurpose", "provisioned", 3415).error().api_name(),
            "ThroughputLimitExceeded");
}

Policies Rules(const std::string& to_ia, const std::string& to_archive,
               const std::string& to_primary = "") {
  Policies policies;
  if (!to_ia.empty()) policies.Add()->set_transition_to_ia(to_ia);
  if (!to_archive.empty()) policies.Add()->set_transition_to_archive(to_archive);
  if (!to_primary.empty()) policies.Add()->set_transition_to_primary_storage_class(to_primary);
  return policies;
}

TEST(Validate, LifecycleRules) {
  EXPECT_TRUE(CheckLifecycle(Rules("AFTER_30_DAYS", "AFTER_90_DAYS", "AFTER_1_ACCESS")).ok());
  EXPECT_TRUE(CheckLifecycle(Rules("", "")).ok());
  EXPECT_TRUE(CheckLifecycle(Rules("AFTER_1_DAY", "")).ok());
  EXPECT_FALSE(CheckLifecycle(Rules("AFTER_1_DAYS", "")).ok());
  EXPECT_FALSE(CheckLifecycle(Rules("AFTER_2_DAYS", "")).ok());
  EXPECT_FALSE(CheckLifecycle(Rules("", "", "AFTER_2_ACCESS")).ok());
  EXPECT_THAT(CheckLifecycle(Rules("AFTER_90_DAYS", "AFTER_90_DAYS")).error().message(),
              HasSubstr("must either not be set or must be later"));
  Policies both;
  both.Add()->set_transition_to_ia("AFTER_30_DAYS");
  both.Mutable(0)->set_transition_to_archive("AFTER_90_DAYS");
  EXPECT_THAT(CheckLifecycle(both).error().message(), HasSubstr("exactly one transition"));
  Policies twice = Rules("AFTER_30_DAYS", "");
  twice.Add()->set_transition_to_ia("AFTER_7_DAYS");
  EXPECT_THAT(CheckLifecycle(twice).error().message(), HasSubstr("transition_to_ia twice"));
}

TEST(Validate, OlderLifecycleRulesAreWarnings) {
  EXPECT_EQ(CheckLifecycle(Rules("AFTER_30_DAYS", "AFTER_90_DAYS"))->size(), 0u);
  EXPECT_EQ(CheckLifecycle(Rules("AFTER_60_DAYS", "AFTER_90_DAYS"))->size(), 1u);
  EXPECT_EQ(CheckLifecycle(Rules("AFTER_30_DAYS", "AFTER_60_DAYS"))->size(), 2u);
}

}  // namespace
}  // namespace tarn::control
