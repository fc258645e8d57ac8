#include "csi/controller/parameters.h"

#include <gtest/gtest.h>

namespace tarn::csi {
namespace {

using Map = std::map<std::string, std::string>;

Map With(const Map& more) {
  Map all = {{"provisioningMode", "efs-ap"},
             {"fileSystemId", "fs-0123456789abcdef0"},
             {"csi.storage.k8s.io/pvc/name", "claim"},
             {"csi.storage.k8s.io/pvc/namespace", "team"},
             {"csi.storage.k8s.io/pv/name", "pvc-1"}};
  for (const auto& [key, value] : more) all[key] = value;
  return all;
}

TEST(Parameters, Defaults) {
  auto parsed = ParseParameters(With({}));
  ASSERT_TRUE(parsed.ok()) << parsed.error().message();
  EXPECT_EQ(parsed->permissions, "700");
  EXPECT_FALSE(parsed->uid || parsed->gid);
  EXPECT_EQ(parsed->gid_start, 50000u);
  EXPECT_EQ(parsed->gid_end, 60000u);
  EXPECT_TRUE(parsed->unique_directory);
  EXPECT_FALSE(parsed->reuse || parsed->retain || parsed->enforce_zone);
  EXPECT_TRUE(parsed->tagging);
  EXPECT_EQ(parsed->pvc_namespace, "team");
}

TEST(Parameters, TakesWhatTheEfsDriverTakes) {
  for (const Map& good :
       {Map{{"uid", "0"}, {"gid", "0"}}, Map{{"uid", "4294967295"}, {"gid", "1"}},
        Map{{"directoryPerms", "0755"}}, Map{{"gidRangeStart", "1"}, {"gidRangeEnd", "2"}},
        Map{{"basePath", "/a/b"}}, Map{{"subPathPattern", "${.PVC.namespace}/${.PVC.name}"}},
        Map{{"ensureUniqueDirectory", "perhaps"}}, Map{{"az", "a"}, {"enforceZoneAffinity", "t"}},
        Map{{"reuseAccessPoint", "TRUE"}}, Map{{"reuseAccessPointScope", "name"}},
        Map{{"enableTagging", "0"}}, Map{{"onDelete", "retain"}},
        Map{{"encryptInTransit", "false"}}, Map{{"csi.storage.k8s.io/anything", "x"}}}) {
    auto parsed = ParseParameters(With(good));
    EXPECT_TRUE(parsed.ok()) << good.begin()->first << ": " << parsed.error().message();
  }
  EXPECT_TRUE(ParseParameters(With({{"ensureUniqueDirectory", "perhaps"}}))->unique_directory);
  EXPECT_EQ(ParseParameters(With({{"encryptInTransit", "true"}}))->encrypt_in_transit, true);
  EXPECT_FALSE(ParseParameters(With({}))->encrypt_in_transit.has_value());
  auto wide = ParseParameters(With({{"gidRangeStart", "1000"}, {"gidRangeEnd", "7000000"}}));
  EXPECT_EQ(wide->gid_end, 11000u);
}

TEST(Parameters, RefusesByName) {
  const std::pair<Map, const char*> cases[] = {
      {{{"provisioningMode", "s3"}}, "Provisioning mode s3 is not supported. Only Access point"},
      {{{"fileSystemId", ""}}, "Missing fileSystemId parameter"},
      {{{"fileSystemId", "fs-x"}}, "fileSystemId 'fs-x' must be of the form"},
      {{{"fileSystemRef", "a/b"}}, "Only one of fileSystemId"},
      {{{"fileSystemId", ""}, {"fileSystemRef", "a"}}, "fileSystemRef 'a' must be namespace/name"},
      {{{"fileSystemId", ""}, {"fileSystemRef", "a/b/c"}}, "must be namespace/name"},
      {{{"fileSystemId", ""}, {"fileSystemIdConfigRef", "a/b"}}, "Failed to resolve filesystem Id"},
      {{{"fileSystemId", ""}, {"fileSystemIdSecretRef", "a/b/"}},
       "Failed to resolve filesystem Id"},
      {{{"directoryPerms", "8"}}, "directoryPerms '8'"},
      {{{"directoryPerms", "rwx"}}, "directoryPerms 'rwx'"},
      {{{"uid", "x"}}, "Failed to parse invalid uid: 'x'"},
      {{{"uid", "-1"}}, "uid must be greater or equal than 0"},
      {{{"gid", "4294967296"}}, "gid must be at most"},
      {{{"gid", "1 "}}, "Failed to parse invalid gid"},
      {{{"gidRangeStart", "1"}}, "Missing gidRangeEnd parameter"},
      {{{"gidRangeEnd", "1"}}, "Missing gidRangeStart parameter"},
      {{{"gidRangeStart", "0"}, {"gidRangeEnd", "9"}}, "must be greater than 0"},
      {{{"gidRangeStart", "9"}, {"gidRangeEnd", "9"}},
       "gidRangeEnd must be greater than gidRangeStart"},
      {{{"reuseAccessPoint", "yes"}}, "Invalid value for reuseAccessPoint parameter"},
      {{{"reuseAccessPoint", "true"}, {"csi.storage.k8s.io/pvc/name", ""}},
       "--extra-create-metadata"},
      {{{"reuseAccessPointScope", "cluster"}}, "reuseAccessPointScope 'cluster'"},
      {{{"enforceZoneAffinity", "maybe"}}, "enforceZoneAffinity"},
      {{{"enforceZoneAffinity", "true"}}, "enforceZoneAffinity needs the parameter az"},
      {{{"enableTagging", "x"}}, "enableTagging"},
      {{{"onDelete", "archive"}}, "onDelete 'archive'"},
      {{{"encryptInTransit", "yes"}}, "Invalid value for encryptInTransit"},
      {{{"FileSystemId", "x"}}, "parameter 'FileSystemId' is not supported"},
      {{{"pathPattern", "x"}}, "parameter 'pathPattern' is not supported"},
  };
  for (const auto& [map, message] : cases) {
    auto parsed = ParseParameters(With(map));
    if (parsed.ok()) {
      ADD_FAILURE() << message;
      continue;
    }
    EXPECT_EQ(parsed.code(), Code::kInvalid);
    EXPECT_NE(parsed.error().message().find(message), std::string::npos)
        << parsed.error().message();
  }
  EXPECT_EQ(ParseParameters({}).error().message(), "Missing provisioningMode parameter");
}

Result<std::string> PathOf(const Map& more, const std::string& name = "pvc-1") {
  TRY(Parameters parsed, ParseParameters(With(more)));
  return RootPath(parsed, name);
}

TEST(RootPath, IsTheVolumesNameUnlessAPatternSaysElse) {
  EXPECT_EQ(*PathOf({}), "/pvc-1");
  EXPECT_EQ(*PathOf({{"basePath", "/base//x/"}}), "/base/x/pvc-1");
  const Map pattern = {{"subPathPattern", "${.PVC.namespace}/${.PVC.name}/${.PV.name}"},
                       {"ensureUniqueDirectory", "false"}};
  EXPECT_EQ(*PathOf(pattern), "/team/claim/pvc-1");
  EXPECT_EQ(*PathOf({{"subPathPattern", "/static"}, {"ensureUniqueDirectory", "false"}}),
            "/static");
}

TEST(RootPath, AUniqueDirectoryIsTheSameForTheSameVolume) {
  const Map pattern = {{"subPathPattern", "${.PVC.name}"}};
  std::string path = *PathOf(pattern);
  EXPECT_EQ(path.size(), std::string("/claim-").size() + 36) << path;
  EXPECT_EQ(path, *PathOf(pattern));
  EXPECT_NE(path, *PathOf(pattern, "pvc-2"));
}

TEST(RootPath, NamesThatAreNoDirectoryAreHashed) {
  for (const std::string& name : {std::string(128, 'n'), std::string("a/b"), std::string(".."),
                                  std::string("a$b"), std::string("a\nb")}) {
    auto path = PathOf({}, name);
    ASSERT_TRUE(path.ok()) << name;
    EXPECT_EQ(path->size(), 65u) << *path;
  }
}

TEST(RootPath, Limits) {
  EXPECT_TRUE(PathOf({{"basePath", "/a/b/c"}}).ok());
  const std::pair<Map, const char*> cases[] = {
      {{{"basePath", "/a/b/c/d"}}, "file system limit of 4 subdirectories"},
      {{{"basePath", "/" + std::string(100, 'x')}}, "file system limit of 100 characters"},
      {{{"basePath", "/../etc"}}, "basePath '/../etc' must not have '..'"},
      {{{"basePath", "/.hidden"}}, "begins with '.'"},
      {{{"basePath", "/a;b"}}, "characters that a root directory may not have"},
      {{{"subPathPattern", "${.PVC.uid}"}}, "Supported are ${.PVC.name}, ${.PVC.namespace}"},
      {{{"subPathPattern", "../x"}}, "must not have '..'"},
      {{{"subPathPattern", "${.PVC.name}/../../x"}}, "must not have '..'"},
      {{{"subPathPattern", "${.PVC.name}"}, {"csi.storage.k8s.io/pvc/name", "../x"}},
       "must not have '..'"},
      {{{"subPathPattern", "a\nb"}}, "characters that a root directory may not have"},
      {{{"subPathPattern", std::string("a\0b", 3)}},
       "characters that a root directory may not have"},
      {{{"subPathPattern", "${.PVC.name}"}, {"csi.storage.k8s.io/pvc/name", ""}},
       "--extra-create-metadata"},
  };
  for (const auto& [map, message] : cases) {
    auto path = PathOf(map);
    if (path.ok()) {
      ADD_FAILURE() << *path;
      continue;
    }
    EXPECT_NE(path.error().message().find(message), std::string::npos) << path.error().message();
  }
}

TEST(ClientToken, IsTheNameOrWithReuseTheClaim) {
  auto token = [](const Map& more, const std::string& name) {
    return ClientToken(*ParseParameters(With(more)), name);
  };
  EXPECT_EQ(token({}, "pvc-1"), "pvc-1");
  EXPECT_EQ(token({}, std::string(128, 'n')).size(), 64u);
  const Map reuse = {{"reuseAccessPoint", "true"}};
  EXPECT_EQ(token(reuse, "pvc-1"), token(reuse, "pvc-2"));
  Map elsewhere = reuse;
  elsewhere["csi.storage.k8s.io/pvc/namespace"] = "other";
  EXPECT_NE(token(reuse, "pvc-1"), token(elsewhere, "pvc-1"));
  Map any = reuse, any_elsewhere = elsewhere;
  any["reuseAccessPointScope"] = any_elsewhere["reuseAccessPointScope"] = "name";
  EXPECT_EQ(token(any, "pvc-1"), token(any_elsewhere, "pvc-1"));
}

}  // namespace
}  // namespace tarn::csi
