// The policy as a whole: decisions with their reasons, errors, and what holds for all policies.
#include "server/policy/policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "server/policy/arn.h"
#include "server/policy/testing/cases.h"

namespace tarn::policy {
namespace {

using testing::HasSubstr;

std::string ErrorOf(std::string_view text) {
  auto policy = Policy::Compile(Document(text), kFileSystem);
  if (policy.ok()) return "none";
  EXPECT_EQ(policy.error().api_name(), "InvalidPolicyException");
  EXPECT_EQ(policy.code(), Code::kInvalid);
  return policy.error().message();
}

Rights Ask(std::string_view text, std::string_view words) {
  auto policy = Policy::Compile(Document(text), kFileSystem);
  EXPECT_TRUE(policy.ok()) << policy.error().message();
  OwnedRequest owned;
  ParseRequest(words, owned);
  return (*policy)->Decide(owned.request);
}

TEST(Policy, TellsWhichStatementDecided) {
  constexpr std::string_view kText =
      "{'Sid':'Readers','Effect':'Allow','Principal':'*','Action':"
      "'elasticfilesystem:ClientMount'},"
      "{'Effect':'Deny','Principal':{'ServiceAccount':'b/*'},'Action':'*'},"
      "{'Sid':'Writers','Effect':'Allow','Principal':{'ServiceAccount':'a/*'},'Action':"
      "['elasticfilesystem:ClientMount','elasticfilesystem:ClientWrite']}";
  Rights a = Ask(kText, "sa=a/x");
  EXPECT_EQ(a.of(Action::kMount), (Decision{Reason::kAllow, 0}));
  EXPECT_EQ(a.of(Action::kWrite), (Decision{Reason::kAllow, 2}));
  EXPECT_EQ(a.of(Action::kRoot), (Decision{Reason::kNoStatementAllows, -1}));
  Rights b = Ask(kText, "sa=b/x");
  EXPECT_EQ(b.of(Action::kMount), (Decision{Reason::kExplicitDeny, 1}));
  EXPECT_EQ(b.of(Action::kRoot), (Decision{Reason::kExplicitDeny, 1}));

  auto policy = Policy::Compile(Document(kText)).value();
  auto explain = [&](Action action, const Rights& rights) {
    return Explain(policy.get(), action, rights.of(action));
  };
  EXPECT_EQ(explain(Action::kMount, a),
            "elasticfilesystem:ClientMount is allowed by statement 0 'Readers'");
  EXPECT_EQ(explain(Action::kRoot, a),
            "elasticfilesystem:ClientRootAccess is denied: no statement allows it");
  EXPECT_EQ(explain(Action::kWrite, b),
            "elasticfilesystem:ClientWrite is denied by statement 1: explicit deny");
}

TEST(Policy, WithoutOneEverybodyMayDoEverything) {
  Rights rights = Decide(nullptr, Request{});
  EXPECT_EQ(Text(rights), "mwr");
  EXPECT_EQ(rights, Rights::Unlimited());
  EXPECT_EQ(Explain(nullptr, Action::kRoot, rights.of(Action::kRoot)),
            "elasticfilesystem:ClientRootAccess is allowed: the file system has no policy");
}

TEST(Policy, WhoMayNotMountMayDoNothing) {
  Rights rights =
      Ask("{'Effect':'Allow','Principal':'*','NotAction':"
          "'elasticfilesystem:ClientMount'}",
          "");
  EXPECT_EQ(Text(rights), "-wr") << "the decisions themselves";
  EXPECT_FALSE(rights.mount() || rights.write() || rights.root());
}

TEST(Policy, DenyAllDenies) {
  auto policy = Policy::DenyAll();
  EXPECT_EQ(Text(Decide(policy.get(), Request{})), "---");
  EXPECT_FALSE(policy->EverAllows(Action::kMount));
}

TEST(Policy, KnowsWhatItNeverAllows) {
  auto ever = [](std::string_view text) {
    std::string result = "mwr";
    auto policy = Policy::Compile(Document(text)).value();
    for (size_t i = 0; i < kActions.size(); ++i) {
      if (!policy->EverAllows(kActions[i])) result[i] = '-';
    }
    return result;
  };
  EXPECT_EQ(ever(ALLOW_ALL), "mwr");
  EXPECT_EQ(ever(DENY_ALL), "---");
  EXPECT_EQ(ever(ALLOW_ALL "," DENY_ALL), "---");
  EXPECT_EQ(ever(ALLOW_ALL "," DENY ",'Resource':'*'}"), "---");
  EXPECT_EQ(ever(ALLOW_ALL "," DENY_IF("'Bool':{'aws:SecureTransport':'false'}")), "mwr");
  EXPECT_EQ(ever(ALLOW_ALL ",{'Effect':'Deny','Principal':{'ServiceAccount':'a/*'},'Action':'*'}"),
            "mwr");
  EXPECT_EQ(ever("{'Effect':'Allow','Principal':'*','NotAction':'elasticfilesystem:ClientWrite'}"),
            "m-r");
}

TEST(Policy, KnowsWhetherTimeMatters) {
  EXPECT_FALSE(Policy::Compile(Document(ALLOW_ALL)).value()->depends_on_time());
  EXPECT_TRUE(Policy::Compile(Document(ALLOW_ALL "," DENY_IF("'DateLessThan':{"
                                                             "'aws:CurrentTime':'2026-01-01'}")))
                  .value()
                  ->depends_on_time());
}

TEST(Policy, HasTwentyThousandCharactersAtMost) {
  auto sized = [](size_t characters, std::string_view letter) {
    std::string text = Document(ALLOW_ALL
                                ",{'Effect':'Allow','Principal':'*','Action':'*',"
                                "'Condition':{'StringEquals':{'tarn:Pod':'@'}}}");
    std::string filler;
    for (size_t i = text.size() - 1; i < characters; ++i) filler += letter;
    return text.replace(text.find('@'), 1, filler);
  };
  EXPECT_TRUE(Policy::Compile(sized(kCharactersMax, "x")).ok());
  EXPECT_TRUE(Policy::Compile(sized(kCharactersMax, "\u00e9")).ok()) << "characters, not bytes";
  EXPECT_THAT(Policy::Compile(sized(kCharactersMax + 1, "x")).error().message(),
              HasSubstr("20001 characters"));
}

TEST(Policy, ErrorsAreShortAndText) {
  std::string long_name(15'000, 'x');
  EXPECT_LT(ErrorOf("{'Effect':'Allow','Principal':'*','Action':'" + long_name + "'}").size(),
            1'100u);
  std::string many = long_name;
  for (size_t i = 0; i < many.size(); i += 2) many.replace(i, 2, "\u00e9");
  EXPECT_TRUE(
      ErrorOf("{'Effect':'Allow','Principal':'*','Action':'" + many + "'}").ends_with("\u00e9..."));
  EXPECT_THAT(ErrorOf("{'Effect':'\xff\xfe"), HasSubstr("ill-formed UTF-8"));
}

TEST(Arn, PartsAndIds) {
  EXPECT_EQ(FileSystemArn("local", "1", "fs-1"),
            "arn:aws:elasticfilesystem:local:1:file-system/fs-1");
  EXPECT_EQ(IdOfArn(AccessPointArn("r", "1", "fsap-1")), "fsap-1");
  auto parts = SplitArn("arn:aws:s:${a:b}:1:x:y:z").value();
  EXPECT_EQ(parts[3], "${a:b}");
  EXPECT_EQ(parts[5], "x:y:z");
  EXPECT_FALSE(SplitArn("arn:aws:s:r:1"));
}

}  // namespace
}  // namespace tarn::policy
