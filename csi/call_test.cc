#include "csi/call.h"

#include <gtest/gtest.h>

#include <optional>
#include <stdexcept>
#include <thread>

#include "csi/volume_context.h"
#include "csi/volume_locks.h"

namespace tarn::csi {
namespace {

TEST(Call, StripsSecretsFromWhatItLogs) {
  pb::CreateVolumeRequest request;
  request.set_name("volume-1");
  (*request.mutable_secrets())["password"] = "hunter2";
  (*request.mutable_parameters())["uid"] = "5";
  std::string text = Describe(request);
  EXPECT_EQ(text.find("hunter2"), std::string::npos) << text;
  EXPECT_NE(text.find("stripped"), std::string::npos) << text;
  EXPECT_NE(text.find("volume-1"), std::string::npos) << text;
  EXPECT_NE(text.find("uid"), std::string::npos) << text;
  EXPECT_EQ(request.secrets().at("password"), "hunter2");
}

TEST(Call, StripsThePodsTokensThatKubeletPutsIntoTheContext) {
  pb::NodePublishVolumeRequest request;
  (*request.mutable_volume_context())[kTokensKey] = R"({"tarn.dev":{"token":"hunter2"}})";
  (*request.mutable_volume_context())["csi.storage.k8s.io/pod.name"] = "web-0";
  std::string text = Describe(request);
  EXPECT_EQ(text.find("hunter2"), std::string::npos) << text;
  EXPECT_NE(text.find("serviceAccount.tokens"), std::string::npos) << text;
  EXPECT_NE(text.find("web-0"), std::string::npos) << text;
}

TEST(Call, TurnsResultsAndExceptionsIntoStatus) {
  pb::DeleteVolumeRequest request;
  pb::DeleteVolumeResponse response;
  auto invalid = Call("M", request, &response, []() -> Result<pb::DeleteVolumeResponse> {
    return Error(Code::kInvalid, "no");
  });
  EXPECT_EQ(invalid.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(invalid.error_message(), "no");
  auto thrown = Call("M", request, &response, []() -> Result<pb::DeleteVolumeResponse> {
    throw std::runtime_error("oops");
  });
  EXPECT_EQ(thrown.error_code(), grpc::StatusCode::INTERNAL);
  auto good = Call("M", request, &response,
                   []() -> Result<pb::DeleteVolumeResponse> { return pb::DeleteVolumeResponse(); });
  EXPECT_TRUE(good.ok());
}

TEST(VolumeLocks, GivesAVolumeToOneCallAtATime) {
  VolumeLocks locks;
  {
    auto first = locks.Take("v");
    ASSERT_TRUE(first.ok());
    EXPECT_EQ(locks.Take("v").code(), Code::kAborted);
    EXPECT_TRUE(locks.Take("w").ok());
  }
  EXPECT_TRUE(locks.Take("v").ok());
}

TEST(VolumeLocks, WaitsForAsLongAsItIsTold) {
  VolumeLocks locks;
  std::optional<VolumeLocks::Hold> first(std::move(locks.Take("v")).value());
  std::jthread other([&] {
    auto second = locks.Take("v", std::chrono::seconds(10));
    EXPECT_TRUE(second.ok());
  });
  first.reset();
}

}  // namespace
}  // namespace tarn::csi
