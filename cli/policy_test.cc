// tarnctl policy, against a real control service and offline.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "cli/testing/tarnctl.h"

namespace tarn::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

class PolicyCommands : public Tarnctl {
 protected:
  std::string File(const std::string& text) {
    std::string path = dir_ + "/policy.json";
    std::ofstream(path) << text;
    return path;
  }
  // Of `policy make WORDS`.
  std::string Made(std::vector<std::string> words) {
    words.insert(words.begin(), {"policy", "make"});
    EXPECT_EQ(Run(words), 0) << err_;
    return File(out_);
  }
};

TEST_F(PolicyCommands, PutDescribeDelete) {
  std::string fs = Json({"fs", "create"})["fileSystemId"];
  EXPECT_EQ(Run({"policy", "describe", fs}), 1);
  EXPECT_THAT(err_, HasSubstr("PolicyNotFound"));
  EXPECT_THAT(err_, HasSubstr("Fix: tarnctl policy put " + fs));
  std::string file = Made({"--read-only", "--enforce-tls"});
  EXPECT_EQ(Run({"policy", "put", fs, "--file", file}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("EnforceTls"));
  EXPECT_EQ(Run({"policy", "describe", fs}), 0);
  std::string shown = out_;
  EXPECT_EQ(Run({"policy", "put", fs, "-f", File(shown)}), 0) << "what is shown can be put again";
  EXPECT_EQ(out_, shown);
  auto described = Json({"policy", "describe", fs});
  EXPECT_EQ(described["fileSystemId"], fs);
  EXPECT_EQ(described["policy"].get<std::string>() + "\n", shown);
  EXPECT_EQ(Run({"policy", "delete", fs}), 0);
  EXPECT_EQ(Run({"policy", "describe", fs}), 1);
}

TEST_F(PolicyCommands, WrongPoliciesAreErrorsWithThePlace) {
  std::string fs = Json({"fs", "create"})["fileSystemId"];
  EXPECT_EQ(Run({"policy", "put", fs, "--file", dir_ + "/none"}), 1);
  EXPECT_THAT(err_, HasSubstr("--file"));
  EXPECT_EQ(Run({"policy", "put", fs, "--file", File("{\"Statement\": [{}]}")}), 1);
  EXPECT_THAT(err_, HasSubstr("InvalidPolicyException: policy: Statement[0]"));
  std::string deny = R"({"Statement": {"Effect": "Deny", "Principal": "*", "Action": "*"}})";
  EXPECT_EQ(Run({"policy", "put", fs, "--file", File(deny)}), 1);
  EXPECT_EQ(Run({"policy", "put", fs, "--file", File(deny), "--bypass-lockout-check"}), 0);
  EXPECT_EQ(Run({"policy", "test", fs}), 1);
  EXPECT_THAT(out_, HasSubstr("ClientMount is denied by statement 0: explicit deny"));
}

TEST_F(PolicyCommands, TestAgainstTheServer) {
  std::string fs = Json({"fs", "create"})["fileSystemId"];
  EXPECT_EQ(Run({"policy", "test", fs}), 0);
  EXPECT_THAT(out_, HasSubstr("the file system has no policy"));
  std::string file = Made({"--write", "a/*", "--read", "b/web", "--enforce-tls"});
  EXPECT_EQ(Run({"policy", "put", fs, "--file", file}), 0) << err_;
  EXPECT_EQ(Run({"policy", "test", fs, "-p", "a/web", "--tls", "-a", "mount", "-a", "write"}), 0);
  EXPECT_EQ(out_,
            "elasticfilesystem:ClientMount is allowed by statement 0 'AllowWriting'\n"
            "elasticfilesystem:ClientWrite is allowed by statement 0 'AllowWriting'\n");
  EXPECT_EQ(Run({"policy", "test", fs, "-p", "b/web", "--tls"}), 1);
  EXPECT_EQ(out_,
            "elasticfilesystem:ClientMount is allowed by statement 1 'AllowReading'\n"
            "elasticfilesystem:ClientWrite is denied: no statement allows it\n"
            "elasticfilesystem:ClientRootAccess is denied: no statement allows it\n");
  EXPECT_EQ(Run({"policy", "test", fs, "-p", "a/web", "--action", "mount"}), 1);
  EXPECT_THAT(out_, HasSubstr("denied by statement 2 'EnforceTls': explicit deny"));
  EXPECT_EQ(Run({"policy", "test", "fs-00000000000000000"}), 1);
  EXPECT_THAT(err_, HasSubstr("FileSystemNotFound"));
}

TEST_F(PolicyCommands, TestWithoutAServer) {
  server_ = nullptr;
  std::string file = File(R"({"Version": "2012-10-17", "Statement": [
    {"Sid": "Office", "Effect": "Allow", "Principal": "*", "Action": "*",
     "Resource": "arn:aws:elasticfilesystem:*:*:access-point/fsap-1",
     "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"},
                   "DateLessThan": {"aws:CurrentTime": "2026-12-01"}}},
    {"Sid": "Ops", "Effect": "Allow", "Principal": "*", "Action": "elasticfilesystem:ClientWrite",
     "Condition": {"ForAnyValue:StringEquals": {"tarn:Groups": "system:serviceaccounts:ops"},
                   "StringLike": {"tarn:Pod": "ops/*"}}}]})");
  std::vector<std::string> test{"policy",         "test",     "--file", file,
                                "--source-ip",    "10.1.2.3", "--time", "2026-11-27T00:00:00Z",
                                "--access-point", "fsap-1"};
  EXPECT_EQ(Run(test), 0) << out_ << err_;
  EXPECT_THAT(out_, HasSubstr("ClientRootAccess is allowed by statement 0 'Office'"));
  test.back() = "fsap-2";
  EXPECT_EQ(Run(test), 1);
  EXPECT_THAT(out_, Not(HasSubstr("is allowed")));
  EXPECT_EQ(Run({"policy", "test", "-f", file, "-p", "ops/x", "--pod", "x-0", "-a", "write"}), 1);
  EXPECT_THAT(out_, HasSubstr("allowed by statement 1 'Ops'; of no use without ClientMount"));
  auto json = nlohmann::json::parse(
      (Run({"policy", "test", "-f", file, "--output", "json", "-a", "root"}), out_));
  EXPECT_EQ(json[0]["action"], "elasticfilesystem:ClientRootAccess");
  EXPECT_EQ(json[0]["allowed"], false);
  EXPECT_EQ(json[0]["statement"], -1);
}

TEST_F(PolicyCommands, WrongFlagsAreNamed) {
  server_ = nullptr;
  std::string file = Made({});
  for (std::vector<std::string> wrong :
       std::vector<std::vector<std::string>>{{"--principal", "web"},
                                             {"--principal", "/web"},
                                             {"--action", "read"},
                                             {"--source-ip", "10.0.0.0/8"},
                                             {"--time", "soon"}}) {
    std::vector<std::string> words{"policy", "test", "--file", file};
    words.insert(words.end(), wrong.begin(), wrong.end());
    EXPECT_EQ(Run(words), 1);
    EXPECT_THAT(err_, HasSubstr(wrong[0]));
  }
  EXPECT_EQ(Run({"policy", "test"}), 1);
  EXPECT_THAT(err_, HasSubstr("--file"));
  EXPECT_EQ(Run({"policy", "make", "--read-only", "--write", "a/*"}), 1);
  EXPECT_THAT(err_, HasSubstr("read-only"));
  EXPECT_EQ(Run({"policy", "make", "--read", "web"}), 1);
  EXPECT_THAT(err_, HasSubstr("namespace/name"));
}

}  // namespace
}  // namespace tarn::cli
