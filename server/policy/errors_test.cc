// What is no policy, and how it is said: the place, and the fix.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/policy/testing/cases.h"

namespace tarn::policy {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

struct Wrong {
  const char* policy;  // as a Case's
  const char* begin;   // of the message, behind "policy: "
  const char* has = "";
};

void CheckWrong(std::span<const Wrong> all) {
  for (const Wrong& wrong : all) {
    auto policy = Policy::Compile(Document(wrong.policy), kFileSystem);
    ASSERT_FALSE(policy.ok()) << wrong.policy;
    EXPECT_EQ(policy.error().api_name(), "InvalidPolicyException");
    EXPECT_THAT(policy.error().message(), StartsWith(std::string("policy: ") + wrong.begin));
    EXPECT_THAT(policy.error().message(), HasSubstr(wrong.has));
  }
}

#define TO(principal) "{'Effect':'Allow','Action':'*','Principal':" principal "}"
#define DO(action) "{'Effect':'Allow','Principal':'*','Action':" action "}"
#define IF(operator, values) ALLOW_IF("'" operator"':" values)
#define WHOLE(rest) "{'Statement':[" ALLOW_ALL "]," rest "}"

constexpr Wrong kDocuments[] = {
    {"['Statement']", "must be an object"},
    {"'Statement'", "must be an object"},
    {"{'Statement':", "is no JSON", "line 1, column"},
    {"{'Statement':[]} x", "is no JSON"},
    {"{'Statement':[],}", "is no JSON"},
    {"{'Version':'2012-10-17','Id':'\"Statement\"'}", "is no JSON"},
    {"{'Version':'2012-10-17','Statement':[]}", "Statement: is empty", "delete the policy"},
    {"{'Statement':null}", "Statement: must be a statement"},
    {"{'Statement':'x'}", "Statement: must be a statement"},
    {"{'Statement':[1]}", "Statement[0]: a statement must be an object"},
    {"{'Statement':{}}", "Statement: has neither Principal nor NotPrincipal", "add one"},
    {"{'Statement':[" ALLOW_ALL "],'Statement':[]}", "the element 'Statement' stands here twice"},
    {WHOLE("'Version':'2012-10-18'"), "Version: must be \"2012-10-17\""},
    {WHOLE("'Version':2012"), "Version: must be"},
    {WHOLE("'Id':7"), "Id: must be a string"},
    {WHOLE("'Id':''"), "Id: must be 1 to 128 characters"},
    {WHOLE("'Id':'a\\nb'"), "Id: must be"},
    {WHOLE("'Comment':'x'"), "Comment: a policy has no such element"},
    {WHOLE("'version':'2012-10-17'"), "version: a policy has no such element"},
    {WHOLE("'Id':'1','Id':'1'"), "the element 'Id' stands here twice"},
    {WHOLE("'a':[[[[[[[[[]]]]]]]]]"), "a[0][0][0][0][0][0][0]: is nested deeper"},
};

constexpr Wrong kStatements[] = {
    {"{'Principal':'*','Action':'*'}", "Statement[0]: has no Effect", "Deny"},
    {"{'Effect':'allow','Principal':'*','Action':'*'}", "Statement[0].Effect: must be \"Allow\""},
    {"{'Effect':['Allow'],'Principal':'*','Action':'*'}", "Statement[0].Effect: must be"},
    {ALLOW_ALL "," ALLOW ",'Sid':'a b'}", "Statement[1].Sid: 'a b' is no Sid"},
    {ALLOW ",'Sid':1}", "Statement[0].Sid: must be a string"},
    {ALLOW ",'Sid':'x'}," ALLOW ",'Sid':'x'}", "Statement[1].Sid: 'x' is the Sid of an earlier"},
    {ALLOW ",'sid':'x'}", "Statement[0].sid: a statement has no such element: write Sid"},
    {ALLOW ",'Resources':'*'}", "Statement[0].Resources: a statement has no such element"},
    {ALLOW ",'Action':'*'}", "Statement[0]: the element 'Action' stands here twice"},
    {ALLOW ",'NotAction':'*'}", "Statement[0]: has both Action and NotAction", "leave one"},
    {ALLOW ",'NotPrincipal':{'ServiceAccount':'*'}}",
     "Statement[0]: has both Principal and NotPrincipal"},
    {ALLOW ",'Resource':'*','NotResource':'fsap-1'}",
     "Statement[0]: has both Resource and NotResource"},
    {"{'Effect':'Allow','Action':'*'}", "Statement[0]: has neither Principal nor NotPrincipal"},
    {"{'Effect':'Allow','Principal':'*'}", "Statement[0]: has neither Action nor NotAction"},
};

constexpr Wrong kElements[] = {
    {TO("'a/web'"), "Statement[0].Principal: is no principal", "namespace/name"},
    {TO("['*']"), "Statement[0].Principal: is no principal"},
    {TO("{}"), "Statement[0].Principal: is no principal"},
    {TO("{'Service':'x'}"), "Statement[0].Principal.Service: there is no such kind"},
    {TO("{'AWS':'arn:aws:iam::111122223333:user/*'}"),
     "Statement[0].Principal.AWS: 'arn:aws:iam::111122223333:user/*' names nobody", "ArnLike"},
    {TO("{'AWS':['*','11112222333']}"), "Statement[0].Principal.AWS[1]: '11112222333' names"},
    {TO("{'AWS':'arn:aws:s3:::bucket'}"),
     "Statement[0].Principal.AWS: 'arn:aws:s3:::bucket' names"},
    {TO("{'ServiceAccount':':a/b'}"), "Statement[0].Principal.ServiceAccount: ':a/b' names no"},
    {TO("{'ServiceAccount':':*'}"), "Statement[0].Principal.ServiceAccount: ':*' names no"},
    {TO("{'ServiceAccount':'a:b:c/d'}"), "Statement[0].Principal.ServiceAccount: 'a:b:c/d' names"},
    {TO("{'ServiceAccount':'A:b/c'}"), "Statement[0].Principal.ServiceAccount: 'A:b/c' names no"},
    {TO("{'ServiceAccount':[]}"), "Statement[0].Principal.ServiceAccount: must be a string, or"},
    {TO("{'ServiceAccount':{}}"), "Statement[0].Principal.ServiceAccount: must be a string, or"},
    {TO("{'ServiceAccount':['a/b',1]}"), "Statement[0].Principal.ServiceAccount[1]: must be a str"},
    {TO("{'ServiceAccount':'web'}"), "Statement[0].Principal.ServiceAccount: 'web' names no",
     "namespace/name"},
    {TO("{'ServiceAccount':'a/'}"), "Statement[0].Principal.ServiceAccount: 'a/' names no"},
    {TO("{'ServiceAccount':'/a'}"), "Statement[0].Principal.ServiceAccount: '/a' names no"},
    {TO("{'ServiceAccount':'A/b'}"), "Statement[0].Principal.ServiceAccount: 'A/b' names no"},
    {TO("{'ServiceAccount':'a.b/c'}"), "Statement[0].Principal.ServiceAccount: 'a.b/c' names no"},
    {TO("{'ServiceAccount':'a/b/c'}"), "Statement[0].Principal.ServiceAccount: 'a/b/c' names no"},
    {TO("{'ServiceAccount':'*/web'}"), "Statement[0].Principal.ServiceAccount: '*/web' names no",
     "StringLike tarn:ServiceAccount"},
    {TO("{'ServiceAccount':'a/web-*'}"), "Statement[0].Principal.ServiceAccount: 'a/web-*' names"},
    {TO("{'ServiceAccount':'system:serviceaccount:a:b'}"),
     "Statement[0].Principal.ServiceAccount: 'system:serviceaccount:a:b' names no"},
    {"{'Effect':'Deny','NotPrincipal':'*','Action':'*'}", "Statement[0].NotPrincipal: nobody is"},
    {"{'Effect':'Deny','NotPrincipal':{'AWS':'*'},'Action':'*'}", "Statement[0].NotPrincipal: nob"},
    {DO("'elasticfilesystem:ClientMout'"), "Statement[0].Action: 'elasticfilesystem:ClientMout'",
     "elasticfilesystem:ClientMount, elasticfilesystem:ClientWrite"},
    {DO("'ClientMount'"), "Statement[0].Action: 'ClientMount' is none"},
    {DO("'s3:*'"), "Statement[0].Action: 's3:*' is none"},
    {DO("'elastic*:ClientMount'"), "Statement[0].Action: 'elastic*:ClientMount' is none"},
    {DO("['*','elasticfilesystem:DescribeFileSystems']"),
     "Statement[0].Action[1]: 'elasticfilesys"},
    {DO("[]"), "Statement[0].Action: must be a string, or a list"},
    {DO("''"), "Statement[0].Action: '' is none"},
    {DO("{'a':1}"), "Statement[0].Action: must be a string, or a list"},
    {"{'Effect':'Allow','Principal':'*','NotAction':'*'}", "Statement[0].NotAction: no action is"},
    {ALLOW ",'Resource':[]}", "Statement[0].Resource: must be a string, or"},
    {ALLOW ",'Resource':5}", "Statement[0].Resource: must be a string, or"},
    {ALLOW ",'Resource':'/data'}", "Statement[0].Resource: '/data' is no resource", "or the id"},
    {ALLOW ",'Resource':'arn:aws:s3:::bucket'}", "Statement[0].Resource: 'arn:aws:s3:::bucket' is"},
    {ALLOW ",'Resource':'arn:aws:elastic*:r:1:file-system/fs-1'}", "Statement[0].Resource: 'arn:"},
    {ALLOW ",'Resource':'arn:aws:elasticfilesystem:r:1'}", "Statement[0].Resource: 'arn:"},
    {ALLOW ",'Resource':'arn:aws:elasticfilesystem:r:1:mount-target/x'}", "Statement[0].Resource:"},
    {ALLOW ",'Resource':['*','fs-0a1b2c3d']}", "Statement[0].Resource[1]: 'fs-0a1b2c3d' is another",
     "fs-0123456789abcdef0"},
    {ALLOW ",'Resource':'arn:aws:elasticfilesystem:eu:1:file-system/fs-0123456789abcdef0'}",
     "Statement[0].Resource: 'arn:aws:elasticfilesystem:eu:1:file-system/fs-0123456789abcdef0' is "
     "another",
     "arn:aws:elasticfilesystem:local:000000000000:file-system/fs-0123456789abcdef0"},
    {ALLOW ",'Resource':'fsap-${x}'}", "Statement[0].Resource: the variable ${x} names no", "${$}"},
    {ALLOW ",'NotResource':['fsap-1','*']}", "Statement[0].NotResource[1]: no resource is left"},
};

constexpr Wrong kConditions[] = {
    {ALLOW ",'Condition':[]}", "Statement[0].Condition: must be an object"},
    {ALLOW ",'Condition':{}}", "Statement[0].Condition: must be an object", "leave it out"},
    {IF("Equals", "{'tarn:Pod':'x'}"), "Statement[0].Condition.Equals: is no condition operator"},
    {IF("stringequals", "{'tarn:Pod':'x'}"), "Statement[0].Condition.stringequals: is no condition",
     "write StringEquals"},
    {IF("StringEqualsIfexists", "{'tarn:Pod':'x'}"),
     "Statement[0].Condition.StringEqualsIfexists:"},
    {IF("ForSomeValues:StringLike", "{'tarn:Pod':'x'}"),
     "Statement[0].Condition[\"ForSomeValues:StringLike\"]: is no condition operator"},
    {IF("NullIfExists", "{'tarn:Pod':'true'}"), "Statement[0].Condition.NullIfExists: is no",
     "write Null"},
    {IF("ForAnyValue:Null", "{'tarn:Groups':'true'}"),
     "Statement[0].Condition[\"ForAnyValue:Null\"]: is no"},
    {IF("BinaryEquals", "{'tarn:Pod':'QQ=='}"), "Statement[0].Condition.BinaryEquals: is no"},
    {IF("Bool", "'true'"), "Statement[0].Condition.Bool: must be an object"},
    {IF("Bool", "{}"), "Statement[0].Condition.Bool: must be an object"},
    {IF("Bool", "{'aws:SecureTransprt':'true'}"),
     "Statement[0].Condition.Bool[\"aws:SecureTransprt\"]: there is no such condition key",
     "aws:SecureTransport"},
    {IF("StringEquals", "{'aws:SourceVpc':'vpc-1'}"),
     "Statement[0].Condition.StringEquals[\"aws:SourceVpc\"]: there is no such condition key"},
    {IF("StringEquals", "{'tarn:Pod':'x','TARN:pod':'y'}"),
     "Statement[0].Condition.StringEquals[\"tarn:Pod\"]: the key stands here twice"},
    {IF("StringEquals", "{'tarn:Pod':'x','tarn:Pod':'y'}"),
     "Statement[0].Condition.StringEquals: the element 'tarn:Pod' stands here twice"},
    {IF("StringEquals", "{'tarn:Pod':[]}"),
     "Statement[0].Condition.StringEquals[\"tarn:Pod\"]: must be a string, or"},
    {IF("StringEquals", "{'tarn:Pod':null}"),
     "Statement[0].Condition.StringEquals[\"tarn:Pod\"]: must be a string, or"},
    {IF("StringEquals", "{'tarn:Pod':['a',{}]}"),
     "Statement[0].Condition.StringEquals[\"tarn:Pod\"][1]: must be a string"},
    {IF("StringEquals", "{'tarn:Groups':'x'}"),
     "Statement[0].Condition.StringEquals[\"tarn:Groups\"]: StringEquals cannot be asked of",
     "ForAnyValue:StringLike"},
    {IF("Bool", "{'tarn:Pod':'true'}"),
     "Statement[0].Condition.Bool[\"tarn:Pod\"]: Bool cannot be asked of tarn:Pod", "StringEquals"},
    {IF("IpAddress", "{'tarn:Pod':'10.0.0.0/8'}"),
     "Statement[0].Condition.IpAddress[\"tarn:Pod\"]: IpAddress cannot be asked of"},
    {IF("ArnLike", "{'tarn:ServiceAccount':'*'}"),
     "Statement[0].Condition.ArnLike[\"tarn:ServiceAccount\"]: ArnLike cannot be asked of"},
    {IF("NumericLessThan", "{'aws:CurrentTime':5}"),
     "Statement[0].Condition.NumericLessThan[\"aws:CurrentTime\"]: NumericLessThan cannot",
     "DateLessThan"},
    {IF("StringLike", "{'aws:EpochTime':'17*'}"),
     "Statement[0].Condition.StringLike[\"aws:EpochTime\"]: StringLike cannot"},
    {IF("Bool", "{'aws:SecureTransport':'yes'}"),
     "Statement[0].Condition.Bool[\"aws:SecureTransport\"]: 'yes' is neither true nor false"},
    {IF("Null", "{'tarn:Pod':1}"), "Statement[0].Condition.Null[\"tarn:Pod\"]: '1' is neither"},
    {IF("IpAddress", "{'aws:SourceIp':['10.0.0.0/8','10.0.0.0/33']}"),
     "Statement[0].Condition.IpAddress[\"aws:SourceIp\"][1]: '10.0.0.0/33' is neither an IP"},
    {IF("IpAddress", "{'aws:SourceIp':'*'}"),
     "Statement[0].Condition.IpAddress[\"aws:SourceIp\"]: '*' is neither an IP"},
    {IF("ArnLike", "{'elasticfilesystem:AccessPointArn':'fsap-1'}"),
     "Statement[0].Condition.ArnLike[\"elasticfilesystem:AccessPointArn\"]: 'fsap-1' is no ARN"},
    {IF("DateLessThan", "{'aws:CurrentTime':'tomorrow'}"),
     "Statement[0].Condition.DateLessThan[\"aws:CurrentTime\"]: 'tomorrow' is no date"},
    {IF("DateLessThan", "{'aws:CurrentTime':'2026-02-30'}"),
     "Statement[0].Condition.DateLessThan[\"aws:CurrentTime\"]: '2026-02-30' is no date"},
    {IF("DateLessThan", "{'aws:CurrentTime':'2026-02-03T25:00Z'}"),
     "Statement[0].Condition.DateLessThan[\"aws:CurrentTime\"]: '2026-02-03T25:00Z' is no date"},
    {IF("DateLessThan", "{'aws:CurrentTime':'2026-02-03T05:00'}"),
     "Statement[0].Condition.DateLessThan[\"aws:CurrentTime\"]: '2026-02-03T05:00' is no date"},
    {IF("NumericEquals", "{'aws:EpochTime':'1e999'}"),
     "Statement[0].Condition.NumericEquals[\"aws:EpochTime\"]: '1e999' is no number"},
    {IF("NumericEquals", "{'aws:EpochTime':'12 '}"),
     "Statement[0].Condition.NumericEquals[\"aws:EpochTime\"]: '12 ' is no number"},
    {IF("StringEquals", "{'tarn:Pod':'${tarn:Groups}'}"),
     "Statement[0].Condition.StringEquals[\"tarn:Pod\"]: tarn:Groups cannot be used as a variable"},
    {IF("StringEquals", "{'tarn:Pod':'${aws:username}'}"),
     "Statement[0].Condition.StringEquals[\"tarn:Pod\"]: the variable ${aws:username} names no"},
    {IF("StringEquals", "{'tarn:Pod':'${tarn:Namespace'}"),
     "Statement[0].Condition.StringEquals[\"tarn:Pod\"]: a variable begins with ${ and has no }"},
    {IF("StringEquals", "{'tarn:Pod':'${tarn:Namespace, x}'}"),
     "Statement[0].Condition.StringEquals[\"tarn:Pod\"]: the default value in", "single quotes"},
};

TEST(PolicyErrors, Documents) {
  CheckWrong(kDocuments);
  EXPECT_EQ(Policy::Compile("").error().message().substr(0, 19), "policy: is no JSON:");
  EXPECT_EQ(Policy::Compile("{}").error().message(), "policy: has no Statement: add one");
}
TEST(PolicyErrors, Statements) {
  CheckWrong(kStatements);
}
TEST(PolicyErrors, Elements) {
  CheckWrong(kElements);
}
TEST(PolicyErrors, Conditions) {
  CheckWrong(kConditions);
}

}  // namespace
}  // namespace tarn::policy
