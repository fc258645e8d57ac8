#include <gmock/gmock.h>

#include "server/control/testing/world.h"

namespace tarn::control {
namespace {

using testing::HasSubstr;

constexpr const char* kReadOnly = R"({"Version": "2012-10-17", "Statement": [
  {"Sid": "Read", "Effect": "Allow", "Principal": "*",
   "Action": "elasticfilesystem:ClientMount"}]})";
constexpr const char* kDenyAll =
    R"({"Statement": {"Effect": "Deny", "Principal": "*", "Action": "*"}})";

class Policies : public World {
 protected:
  Policies() : id_(MakeFileSystem("one").file_system_id()), number_(NumberOf(id_)) {}

  Result<v1::FileSystemPolicyDescription> Put(const std::string& text, bool bypass = false) {
    v1::PutFileSystemPolicyRequest request;
    request.set_file_system_id(id_);
    request.set_policy(text);
    request.set_bypass_policy_lockout_safety_check(bypass);
    return manager_->PutFileSystemPolicy(request);
  }
  Result<v1::FileSystemPolicyDescription> Get() {
    v1::DescribeFileSystemPolicyRequest request;
    request.set_file_system_id(id_);
    return manager_->DescribeFileSystemPolicy(request);
  }
  Result<v1::Empty> Delete() {
    v1::DeleteFileSystemPolicyRequest request;
    request.set_file_system_id(id_);
    return manager_->DeleteFileSystemPolicy(request);
  }
  // What an anonymous client may do now.
  std::string InForce() {
    std::string text = "mwr";
    auto rights = policy::Decide(manager_->policies().Find(number_).get(), {});
    for (size_t i = 0; i < text.size(); ++i) {
      if (!rights.decisions[i].allowed()) text[i] = '-';
    }
    return text;
  }

  std::string id_;
  uint32_t number_;
};

TEST_F(Policies, PutDescribeDelete) {
  EXPECT_EQ(EfsName(Get()), "PolicyNotFound");
  EXPECT_EQ(Get().code(), Code::kNotFound);
  EXPECT_EQ(InForce(), "mwr");
  auto put = Put(kReadOnly);
  ASSERT_TRUE(put.ok()) << put.error().message();
  EXPECT_EQ(put->file_system_id(), id_);
  EXPECT_EQ(put->policy(), kReadOnly);
  EXPECT_EQ(Get()->policy(), kReadOnly);
  EXPECT_EQ(InForce(), "m--");
  EXPECT_TRUE(Delete().ok());
  EXPECT_EQ(EfsName(Get()), "PolicyNotFound");
  EXPECT_EQ(InForce(), "mwr");
  EXPECT_TRUE(Delete().ok()) << "nothing is there to delete";
}

TEST_F(Policies, EachChangeIsSeenByItsGeneration) {
  uint64_t before = manager_->policies().generation();
  ASSERT_TRUE(Put(kReadOnly).ok());
  uint64_t put = manager_->policies().generation();
  EXPECT_NE(put, before);
  ASSERT_TRUE(Put(kReadOnly).ok());
  EXPECT_EQ(manager_->policies().generation(), put) << "the same policy again";
  ASSERT_TRUE(Delete().ok());
  EXPECT_NE(manager_->policies().generation(), put);
}

TEST_F(Policies, WrongOnesAreRefusedAndChangeNothing) {
  ASSERT_TRUE(Put(kReadOnly).ok());
  auto wrong = Put(R"({"Statement": [{"Effect": "Allow", "Principal": "*"}]})");
  EXPECT_EQ(EfsName(wrong), "InvalidPolicyException");
  EXPECT_EQ(wrong.code(), Code::kInvalid);
  EXPECT_THAT(wrong.error().message(), HasSubstr("Statement[0]"));
  EXPECT_EQ(EfsName(Put("")), "InvalidPolicyException");
  EXPECT_EQ(EfsName(Put(std::string(20'001, ' '))), "InvalidPolicyException");
  auto other = Put(R"({"Statement": {"Effect": "Allow", "Principal": "*", "Action": "*",
                      "Resource": "fs-00000000000000000"}})");
  EXPECT_THAT(other.error().message(), HasSubstr(id_)) << "the resource is another file system";
  EXPECT_EQ(Get()->policy(), kReadOnly);
  EXPECT_EQ(InForce(), "m--");
  v1::PutFileSystemPolicyRequest nobody;
  nobody.set_file_system_id("fs-00000000000000000");
  nobody.set_policy(kReadOnly);
  EXPECT_EQ(EfsName(manager_->PutFileSystemPolicy(nobody)), "FileSystemNotFound");
}

TEST_F(Policies, LockingEverybodyOutMustBeMeant) {
  auto refused = Put(kDenyAll);
  EXPECT_EQ(EfsName(refused), "InvalidPolicyException");
  EXPECT_THAT(refused.error().message(), HasSubstr("bypass_policy_lockout_safety_check"));
  EXPECT_EQ(InForce(), "mwr");
  ASSERT_TRUE(Put(kDenyAll, true).ok());
  EXPECT_EQ(InForce(), "---");
  EXPECT_TRUE(Delete().ok()) << "no policy keeps out who manages the file system";
}

TEST_F(Policies, InForceAfterARestart) {
  ASSERT_TRUE(Put(kReadOnly).ok());
  Restart();
  EXPECT_EQ(InForce(), "m--");
  EXPECT_EQ(Get()->policy(), kReadOnly);
  ASSERT_TRUE(Delete().ok());
  Restart();
  EXPECT_EQ(InForce(), "mwr");
}

TEST_F(Policies, WhatIsNotStoredIsNotInForce) {
  engine_.writes_left = 0;
  EXPECT_FALSE(Put(kReadOnly).ok());
  EXPECT_EQ(InForce(), "mwr");
  engine_.writes_left = INT64_MAX;
  ASSERT_TRUE(Put(kReadOnly).ok());
  engine_.writes_left = 0;
  EXPECT_FALSE(Delete().ok());
  EXPECT_EQ(InForce(), "m--");
}

TEST_F(Policies, WhatCannotBeReadDeniesAll) {
  ASSERT_TRUE(Put(kReadOnly).ok());
  auto& records = engine_.real().records();
  std::string key = "control/fs/" + id_;
  records::FileSystem record;
  ASSERT_TRUE(record.ParseFromString(*records.Get(key).value()));
  record.set_policy(R"({"Version": "2040-01-01", "Statement": []})");
  ASSERT_TRUE(records.Put(key, record.SerializeAsString()).ok());
  Restart();
  EXPECT_EQ(InForce(), "---");
  EXPECT_TRUE(Get().ok()) << "it can be looked at";
  ASSERT_TRUE(Put(kReadOnly).ok()) << "and replaced";
  EXPECT_EQ(InForce(), "m--");
}

TEST_F(Policies, GoWithTheirFileSystem) {
  ASSERT_TRUE(Put(kReadOnly).ok());
  ASSERT_TRUE(DeleteFileSystem(id_).ok());
  EXPECT_EQ(manager_->policies().Find(number_), nullptr);
  EXPECT_EQ(EfsName(Get()), "FileSystemNotFound");
}

TEST_F(Policies, ResourcesTellTheirArns) {
  EXPECT_EQ(DescribeFileSystem(id_)->file_system_arn(),
            "arn:aws:elasticfilesystem:local:000000000000:file-system/" + id_);
  auto ap = MakeAccessPoint(id_, "ap", "/a");
  EXPECT_EQ(ap.access_point_arn(),
            "arn:aws:elasticfilesystem:local:000000000000:access-point/" + ap.access_point_id());
  auto entry = manager_->exports().Enter(number_, ap.access_point_id()).value();
  EXPECT_EQ(entry->access_point_arn, ap.access_point_arn());
  EXPECT_EQ(entry->file_system_arn, DescribeFileSystem(id_)->file_system_arn());
  auto root = manager_->exports().Find(number_, 0).value();
  EXPECT_EQ(root->file_system_arn, entry->file_system_arn);
  EXPECT_EQ(root->access_point_arn, "");
}

}  // namespace
}  // namespace tarn::control
