// What holds for all policies and requests: random ones, from a seed that a failure tells.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "common/sanitized.h"
#include "server/policy/testing/cases.h"

namespace tarn::policy {
namespace {

constexpr int kPolicies = kSanitized ? 50 : 500;
constexpr int kRequestsEach = 8;

// Statements and requests from few words, so that they meet often.
class Generator {
 public:
  explicit Generator(uint64_t seed) : random_(seed) {}

  size_t Below(size_t end) { return std::uniform_int_distribution<size_t>(0, end - 1)(random_); }
  bool OneIn(size_t n) { return Below(n) == 0; }
  template <size_t N>
  std::string Pick(const char* const (&words)[N]) {
    return words[Below(N)];
  }

  std::string Statement(bool allow) {
    std::string text = std::string("{'Effect':'") + (allow ? "Allow" : "Deny") + "'";
    bool negated = OneIn(5);
    text += negated ? ",'NotPrincipal':" : ",'Principal':";
    text += negated ? Pick(kAccounts) : OneIn(2) ? "'*'" : Pick(kAccounts);
    text += OneIn(5) ? ",'NotAction':" : ",'Action':";
    text += Pick(kActionWords);
    if (OneIn(3)) text += (OneIn(3) ? ",'NotResource':" : ",'Resource':") + Pick(kResources);
    if (OneIn(2)) {
      text += ",'Condition':{" + Pick(kConditions);
      if (OneIn(3)) text += ",'Null':{" + Pick(kNulls) + "}";
      text += "}";
    }
    return text + "}";
  }

  std::string Words() {
    std::string words = Pick(kWho);
    if (OneIn(2)) words += " tls";
    if (OneIn(2)) words += " " + Pick(kFrom);
    if (OneIn(2)) words += " " + Pick(kThrough);
    if (OneIn(3)) words += " pod=a/db-0";
    if (OneIn(3)) words += " groups=dev,ops";
    if (OneIn(5)) words += " direct";
    return words;
  }

 private:
  static constexpr const char* kAccounts[] = {"{'ServiceAccount':'*'}",
                                              "{'ServiceAccount':'a/*'}",
                                              "{'ServiceAccount':'a/web'}",
                                              "{'ServiceAccount':['a/db','b/*']}",
                                              "{'ServiceAccount':['east:a/web','west:*']}",
                                              "{'AWS':'arn:aws:iam::111122223333:user/u'}",
                                              "{'AWS':'111122223333','ServiceAccount':'c/*'}"};
  static constexpr const char* kActionWords[] = {
      "'elasticfilesystem:ClientMount'", "'elasticfilesystem:*Write'",
      "['elasticfilesystem:ClientRootAccess','elasticfilesystem:clientmount']",
      "'elasticfilesystem:Client??*t*e'"};
  static constexpr const char* kResources[] = {"'fs-0123456789abcdef0'", "'fsap-1'",
                                               "'arn:aws:elasticfilesystem:*:*:access-point/*'",
                                               "['fsap-${tarn:Namespace}','fsap-2']"};
  static constexpr const char* kConditions[] = {
      "'Bool':{'aws:SecureTransport':'true'}",
      "'BoolIfExists':{'elasticfilesystem:AccessedViaMountTarget':false}",
      "'StringNotEquals':{'tarn:Namespace':['a','b']}",
      "'StringLike':{'tarn:Pod':'${tarn:ServiceAccount}-?'}",
      "'IpAddress':{'aws:SourceIp':['10.0.0.0/8','fd00::/8']}",
      "'NotIpAddress':{'aws:SourceIp':'10.1.0.0/16'}",
      "'ArnNotLike':{'elasticfilesystem:AccessPointArn':'arn:aws:*:*:*:access-point/fsap-?'}",
      "'ForAnyValue:StringEquals':{'tarn:Groups':['ops','web']}",
      "'ForAllValues:StringNotLike':{'tarn:Groups':'o*'}",
      "'StringEqualsIfExists':{'tarn:Namespace':'b'}",
      "'StringNotEquals':{'tarn:Issuer':'https://one'}",
      "'ArnLike':{'aws:PrincipalArn':'arn:aws:iam::*:user/*'}"};
  static constexpr const char* kNulls[] = {"'tarn:Pod':'true'", "'aws:SourceIp':'false'",
                                           "'elasticfilesystem:AccessPointArn':'false'"};
  static constexpr const char* kWho[] = {"",
                                         "sa=a/web",
                                         "sa=a/db",
                                         "sa=b/web",
                                         "sa=c/x",
                                         "sa=a/web iss=https://one",
                                         "sa=east:a/web",
                                         "aws=arn:aws:iam::111122223333:user/u",
                                         "aws=arn:aws:iam::444455556666:role/r"};
  static constexpr const char* kFrom[] = {"ip=10.0.0.1", "ip=10.1.0.1", "ip=fd00::1",
                                          "ip=192.0.2.1"};
  static constexpr const char* kThrough[] = {"ap", "ap=fsap-1", "ap=fsap-a", "ap=fsap-2"};

  std::mt19937_64 random_;
};

using Statements = std::vector<std::string>;

std::shared_ptr<const Policy> Compiled(const Statements& statements) {
  std::string text;
  for (const std::string& statement : statements) {
    text.append(text.empty() ? "" : ",").append(statement);
  }
  auto policy = Policy::Compile(Document(text), kFileSystem);
  EXPECT_TRUE(policy.ok()) << policy.error().message() << "\n" << text;
  return policy.ok() ? *policy : Policy::DenyAll();
}

std::string Allowed(const Statements& statements, const Request& request) {
  return statements.empty() ? "---" : Text(Compiled(statements)->Decide(request));
}

// Whatever `less` allows, `more` allows too.
bool Within(const std::string& less, const std::string& more) {
  for (size_t i = 0; i < less.size(); ++i) {
    if (less[i] != '-' && more[i] == '-') return false;
  }
  return true;
}

void CheckOne(Generator& generator, Statements statements, const Request& request) {
  std::string before = Allowed(statements, request);

  Statements more = statements;
  more.insert(more.begin() + static_cast<ptrdiff_t>(generator.Below(more.size() + 1)),
              generator.Statement(false));
  EXPECT_TRUE(Within(Allowed(more, request), before)) << "a Deny grants something";

  more = statements;
  more.insert(more.begin(), generator.Statement(true));
  EXPECT_TRUE(Within(before, Allowed(more, request))) << "an Allow takes something";

  Statements fewer = statements;
  bool allow = fewer.back().find("'Allow'") != std::string::npos;
  fewer.pop_back();
  std::string after = Allowed(fewer, request);
  EXPECT_TRUE(allow ? Within(after, before) : Within(before, after))
      << "removing an Allow grants, or removing a Deny takes, something";

  std::shuffle(statements.begin(), statements.end(), std::mt19937_64(generator.Below(1'000)));
  EXPECT_EQ(Allowed(statements, request), before) << "the order matters";
}

// By the definition: each statement asked alone.
void CheckByDefinition(const Statements& statements, const Request& request) {
  Rights rights = Compiled(statements)->Decide(request);
  for (Action action : kActions) {
    Decision expected;
    for (size_t i = 0; i < statements.size(); ++i) {
      bool allow = statements[i].find("'Allow'") != std::string::npos;
      Statements alone{statements[i]};
      if (!allow) alone.emplace_back(ALLOW_ALL);
      bool applies = Compiled(alone)->Decide(request, action).allowed() == allow;
      if (!applies || expected.reason == Reason::kExplicitDeny) continue;
      if (allow && expected.reason == Reason::kAllow) continue;
      expected = {allow ? Reason::kAllow : Reason::kExplicitDeny, static_cast<int>(i)};
    }
    EXPECT_EQ(rights.of(action), expected) << Name(action);
  }
}

TEST(PolicyProperties, DenyNeverGrantsAndOrderDoesNotMatter) {
  size_t allowed = 0, denied = 0;
  for (uint64_t seed = 1; seed <= kPolicies; ++seed) {
    Generator generator(seed);
    Statements statements(1 + generator.Below(6));
    for (std::string& statement : statements) statement = generator.Statement(!generator.OneIn(3));
    for (int i = 0; i < kRequestsEach; ++i) {
      std::string words = generator.Words();
      OwnedRequest owned;
      ParseRequest(words, owned);
      CheckOne(generator, statements, owned.request);
      CheckByDefinition(statements, owned.request);
      std::string rights = Allowed(statements, owned.request);
      auto dashes = static_cast<size_t>(std::count(rights.begin(), rights.end(), '-'));
      denied += dashes;
      allowed += rights.size() - dashes;
      if (!testing::Test::HasFailure()) continue;
      std::string text;
      for (const std::string& statement : statements) text += "  " + statement + "\n";
      FAIL() << "seed " << seed << ", request '" << words << "', policy\n" << text;
    }
  }
  // The words are such that both happen often.
  EXPECT_GT(allowed, denied / 10);
  EXPECT_GT(denied, allowed / 10);
}

}  // namespace
}  // namespace tarn::policy
