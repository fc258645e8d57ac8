#include "csi/volume_id.h"

#include <gtest/gtest.h>

namespace tarn::csi {
namespace {

TEST(VolumeId, NewAndOldForms) {
  struct Case {
    const char* text;
    VolumeId id;
    const char* export_path;
  };
  const Case cases[] = {
      {"efs:fs-0123456789abcdef0::fsap-0123456789abcdef1",
       {"fs-0123456789abcdef0", "", "fsap-0123456789abcdef1"},
       "/fsap-0123456789abcdef1"},
      {"efs:fs-01234567", {"fs-01234567", "", ""}, "/"},
      {"efs:fs-01234567:/a/b", {"fs-01234567", "/a/b", ""}, "/a/b"},
      {"efs:fs-01234567:a//b/:fsap-01234567",
       {"fs-01234567", "/a/b", "fsap-01234567"},
       "/fsap-01234567/a/b"},
      {"fs-01234567", {"fs-01234567", "", ""}, "/"},
      {"fs-01234567::fsap-01234567", {"fs-01234567", "", "fsap-01234567"}, "/fsap-01234567"},
      {"fs-01234567:/../../etc", {"fs-01234567", "/etc", ""}, "/etc"},
      {"fs-01234567:/:", {"fs-01234567", "/", ""}, "/"},
  };
  for (const auto& one : cases) {
    auto id = ParseVolumeId(one.text);
    ASSERT_TRUE(id.ok()) << one.text << ": " << id.error().message();
    EXPECT_EQ(id->file_system_id, one.id.file_system_id) << one.text;
    EXPECT_EQ(id->subpath, one.id.subpath) << one.text;
    EXPECT_EQ(id->access_point_id, one.id.access_point_id) << one.text;
    EXPECT_EQ(id->ExportPath(), one.export_path) << one.text;
    auto again = ParseVolumeId(id->ToString());
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(again->ExportPath(), one.export_path);
  }
}

TEST(VolumeId, RefusesWithTheTextsOfTheEfsDriver) {
  struct Case {
    std::string text;
    const char* message;
  };
  const Case cases[] = {
      {"", "Missing file system ID"},
      {"efs:", "Missing file system ID"},
      {"efs", "Expected a file system ID of the form 'fs-[0-9a-f]{8,40}'"},
      {"s3files:fs-01234567", "Expected a file system ID of the form"},
      {"fs-xyz", "Expected a file system ID of the form"},
      {"fs-0123456", "Expected a file system ID of the form"},
      {"a:b:c:d", "Expected at most three fields separated by ':'"},
      {"efs:a:b:c:d", "Expected at most four fields separated by ':'"},
      {"efs:fs-01234567::fsap-x", "has an invalid access point ID 'fsap-x'"},
      {"fs-01234567::fs-01234567", "has an invalid access point ID 'fs-01234567'"},
      {std::string(600, 'x'), "longer than 512"},
      {std::string("fs-01234567:/a\0b", 16), "control character"},
      {"fs-01234567:/a\nb", "control character"},
      {"fs-01234567:/a\x7f", "control character"},
      {"fs-01234567,suid", "Expected a file system ID of the form"},
  };
  for (const auto& one : cases) {
    auto id = ParseVolumeId(one.text);
    ASSERT_FALSE(id.ok()) << one.text;
    EXPECT_EQ(id.code(), Code::kInvalid);
    EXPECT_NE(id.error().message().find(one.message), std::string::npos) << id.error().message();
  }
}

TEST(VolumeId, CleansPaths) {
  EXPECT_EQ(CleanPath(""), "/");
  EXPECT_EQ(CleanPath("a"), "/a");
  EXPECT_EQ(CleanPath("/a/./b//c/.."), "/a/b");
  EXPECT_EQ(CleanPath("/.."), "/");
  // Never above the root, whatever is mounted.
  EXPECT_EQ(ParseVolumeId("fs-01234567:/../../a/../..:")->ExportPath(), "/");
  EXPECT_EQ(ParseVolumeId("fs-01234567:../../b:fsap-01234567")->ExportPath(), "/fsap-01234567/b");
}

}  // namespace
}  // namespace tarn::csi
