// tarnctl against a real control service on a Unix socket, over the memory engine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/testing/tarnctl.h"
#include "cli/text.h"
#include "server/keys/testing/key_files.h"

namespace tarn::cli {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;

TEST_F(Tarnctl, FileSystemsFromCreationToDeletion) {
  EXPECT_EQ(Run({"fs", "list"}), 0);
  EXPECT_THAT(out_, HasSubstr("tarnctl fs create"));
  auto made = Json({"fs", "create", "--name", "shared", "--tag", "team=a=b", "--token", "t"});
  std::string id = made["fileSystemId"];
  EXPECT_EQ(made["name"], "shared");
  EXPECT_EQ(Json({"fs", "create", "--name", "shared", "--token", "t"})["fileSystemId"], id);
  EXPECT_EQ(Run({"fs", "list"}), 0);
  EXPECT_THAT(out_, MatchesRegex("FILE SYSTEM .*\n" + id + "  shared  available   0 B .*\n"));
  EXPECT_EQ(Run({"fs", "show", id}), 0);
  EXPECT_THAT(out_, HasSubstr("Tag team:"));
  EXPECT_EQ(Run({"fs", "update", id, "--throughput-mode", "provisioned", "--provisioned", "64"}),
            0);
  EXPECT_THAT(out_, HasSubstr("provisioned, 64 MiB/s"));
  EXPECT_EQ(Run({"fs", "delete", id}), 0);
  EXPECT_EQ(Json({"fs", "list"}).size(), 0u);
}

TEST_F(Tarnctl, KeysOfEncryptedFileSystems) {
  EXPECT_EQ(Run({"key", "list"}), 0);
  EXPECT_THAT(out_, HasSubstr("--key NAME=URI"));
  EXPECT_EQ(Run({"fs", "create", "--encrypted"}), 1);
  EXPECT_THAT(err_, HasSubstr("BadRequest"));
  EXPECT_EQ(Run({"fs", "create", "--key", "main"}), 2);

  keys::KeyFiles files;
  files.Write("v1", std::string(32, 'a'));
  auto ring = keys::KeyRing::Open({"main=file://" + files.path()}, "").value();
  options_.keys = ring.get();
  options_.keeper_threads = false;
  server_ = nullptr;
  Restart();
  service_ = control::NewService(*manager_);
  server_ = rpcs::Server::Start({{.endpoint = Socket(), .tls_dir = {}}}, {service_.get()}).value();
  std::string id = Json({"fs", "create", "--encrypted", "--key", "main"})["fileSystemId"];
  EXPECT_EQ(Run({"fs", "show", id}), 0);
  EXPECT_THAT(out_, MatchesRegex("(.|\n)*Encrypted: +yes\nKey: +main\nKey version: +v1#(.|\n)*"));
  EXPECT_EQ(Run({"key", "check", "main"}), 0);
  EXPECT_THAT(out_, MatchesRegex("(.|\n)*State: +available\n(.|\n)*"));
  files.Write("v2", std::string(32, 'b'));
  EXPECT_EQ(Run({"key", "rewrap", id}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("version v2#"));
  files.Remove("v1");
  files.Remove("v2");
  EXPECT_EQ(Run({"key", "check", "main"}), 1);
  manager_->keeper().Step("main");
  EXPECT_EQ(Run({"fs", "show", id}), 0);
  EXPECT_THAT(out_, HasSubstr("taken away"));
  EXPECT_EQ(Run({"key", "list"}), 0);
  EXPECT_THAT(out_, HasSubstr("main (default)  lost"));
  server_ = nullptr;
  manager_ = nullptr;
}

TEST_F(Tarnctl, AFileSystemWithFilesIsNotDeletedByChance) {
  std::string id = Json({"fs", "create"})["fileSystemId"];
  std::string ap =
      Json({"ap", "create", "--fs", id, "--path", "/a", "--owner", "1:1"})["accessPointId"];
  ASSERT_TRUE(manager_->exports().Enter(NumberOf(id), ap).ok());
  EXPECT_EQ(Run({"fs", "delete", id}), 1);
  EXPECT_THAT(err_, HasSubstr("--yes"));
  EXPECT_EQ(Run({"fs", "delete", id, "--yes"}), 0) << err_;
}

TEST_F(Tarnctl, AccessPoints) {
  std::string fs = Json({"fs", "create"})["fileSystemId"];
  auto ap = Json({"ap", "create", "--fs", fs, "--path", "/data/web", "--user", "1000:1001",
                  "--permissions", "0750", "--quota", "10GiB", "--name", "web"});
  std::string id = ap["accessPointId"];
  EXPECT_EQ(ap["rootDirectory"]["creationInfo"]["ownerUid"], 1000);
  EXPECT_EQ(ap["quotaBytes"], "10737418240");
  EXPECT_EQ(Run({"ap", "list", "--fs", fs}), 0);
  EXPECT_THAT(out_, HasSubstr(id + "  web "));
  EXPECT_THAT(out_, HasSubstr("/data/web  1000:1001   0 B  10 GiB"));
  EXPECT_EQ(Run({"ap", "set-quota", id, "none"}), 0);
  EXPECT_THAT(out_, MatchesRegex("(.|\n)*Quota: +none\n(.|\n)*"));
  EXPECT_EQ(Run({"ap", "show", id}), 0);
  EXPECT_THAT(out_, HasSubstr("1000:1001 0750"));
  auto ranged = Json({"ap", "create", "--fs", fs, "--path", "/r", "--gid-range", "500-501"});
  EXPECT_EQ(ranged["posixUser"]["gid"], 500);
  EXPECT_EQ(Run({"ap", "delete", id, "--with-data"}), 0);
  EXPECT_EQ(Json({"ap", "list"}).size(), 1u);
}

TEST_F(Tarnctl, MountTargets) {
  std::string fs = Json({"fs", "create"})["fileSystemId"];
  std::string id =
      Json({"mt", "create", "--fs", fs, "--zone", "a", "--address", "127.0.0.5"})["mountTargetId"];
  EXPECT_EQ(Run({"mt", "list"}), 0);
  EXPECT_THAT(out_, HasSubstr("127.0.0.5:2049  a"));
  EXPECT_EQ(Run({"mt", "show", id}), 0);
  EXPECT_EQ(Run({"mt", "security-groups", id}), 0);
  EXPECT_EQ(out_, "none: as tarn-server --network says\n");
  EXPECT_EQ(Run({"mt", "security-groups", id, "--allow", "10.0.0.0/8", "--allow", "fd00::1"}), 0);
  EXPECT_EQ(out_, "10.0.0.0/8\nfd00::1\n");
  EXPECT_EQ(Run({"mt", "security-groups", id, "--allow", "pods"}), 1);
  EXPECT_THAT(err_, HasSubstr("security_groups: 'pods' is no address"));
  EXPECT_EQ(Run({"mt", "security-groups", id, "--allow-everybody"}), 0);
  EXPECT_EQ(out_, "0.0.0.0/0\n::/0\n");
  EXPECT_EQ(Run({"fs", "delete", fs}), 1);
  EXPECT_EQ(err_,
            "tarnctl: FileSystemInUse: Must delete all mount targets before deleting file "
            "system. Fix: tarnctl mt delete " +
                id + "\n");
  EXPECT_EQ(Run({"mt", "delete", id}), 0);
  EXPECT_EQ(Run({"mt", "list", "--fs", fs}), 0);
  EXPECT_THAT(out_, HasSubstr("no mount targets"));
}

TEST_F(Tarnctl, LifecycleAndTags) {
  std::string fs = Json({"fs", "create"})["fileSystemId"];
  EXPECT_EQ(Run({"lifecycle", "set", fs, "--to-ia", "30", "--to-archive", "60", "--to-primary"}),
            0);
  EXPECT_THAT(out_, HasSubstr("AFTER_30_DAYS"));
  EXPECT_THAT(err_, HasSubstr("warning: EFS once allowed"));
  EXPECT_EQ(Run({"lifecycle", "set", fs, "--to-ia", "31"}), 1);
  EXPECT_THAT(err_, HasSubstr("BadRequest: transition_to_ia 'AFTER_31_DAYS'"));
  EXPECT_EQ(Run({"lifecycle", "clear", fs}), 0);
  EXPECT_EQ(Run({"lifecycle", "show", fs}), 0);
  EXPECT_THAT(out_, Not(HasSubstr("AFTER")));
  EXPECT_EQ(Run({"tag", "set", fs, "a=1", "b=2"}), 0);
  EXPECT_EQ(Run({"tag", "remove", fs, "a"}), 0);
  EXPECT_EQ(out_,
            "KEY  VALUE\n"
            "b        2\n");
  EXPECT_EQ(Run({"tag", "set", fs, "novalue"}), 1);
}

TEST_F(Tarnctl, FsckIsCleanOrFails) {
  std::string fs = Json({"fs", "create"})["fileSystemId"];
  std::string ap =
      Json({"ap", "create", "--fs", fs, "--path", "/a", "--owner", "1:1"})["accessPointId"];
  EXPECT_EQ(Run({"fsck"}), 0);
  EXPECT_EQ(out_, "no problems\n");
  // Lose the access point's root behind the manager's back.
  auto entry = manager_->exports().Enter(NumberOf(fs), ap).value();
  ASSERT_TRUE(entry->engine->RemoveRealm(entry->realm, true).ok());
  EXPECT_EQ(Run({"fsck", fs}), 1);
  EXPECT_THAT(out_, HasSubstr("of access point " + ap + " is lost\n1 problems\n"));
  EXPECT_EQ(Run({"fsck", "fs-00000000000000000"}), 1);
  EXPECT_THAT(err_, HasSubstr("FileSystemNotFound"));
}

TEST_F(Tarnctl, ScrubIsCleanOrFails) {
  std::string fs = Json({"fs", "create"})["fileSystemId"];
  EXPECT_EQ(Run({"scrub", "--status"}), 0);
  EXPECT_EQ(out_, "no scrub since the server started\n");
  EXPECT_EQ(Run({"scrub", fs, "--rate", "8MiB"}), 0);
  EXPECT_THAT(out_, MatchesRegex("Scrub of: +" + fs + "\nState: +done\n(.|\n)*no problems\n"));
  EXPECT_THAT(out_, HasSubstr("8 MiB/s"));
  engine_.damage = "table inodes: /data/meta/000012.sst: wrong checksum";
  EXPECT_EQ(Run({"scrub"}), 1);
  EXPECT_THAT(out_, HasSubstr("database: " + engine_.damage + "\n1 problems\n"));
  EXPECT_EQ(Run({"scrub", "--status"}), 1);
  EXPECT_EQ(Run({"scrub", "--stop"}), 1) << "the report of the last one";
  engine_.damage.clear();  // or a quick one would have found it already
  EXPECT_EQ(Run({"scrub", "--background"}), 0);
  EXPECT_EQ(Run({"scrub", "--rate", "fast"}), 1);
  EXPECT_THAT(err_, HasSubstr("--rate"));
  EXPECT_EQ(Run({"scrub", "--stop", "--background"}), 2);
  EXPECT_EQ(Run({"scrub", "fs-00000000000000000"}), 1);
}

TEST_F(Tarnctl, ErrorsAreOneLineWithTheFix) {
  EXPECT_EQ(Run({"ap", "show", "fsap-00000000000000000"}), 1);
  EXPECT_EQ(err_,
            "tarnctl: AccessPointNotFound: Access Point fsap-00000000000000000 does not "
            "exist. Fix: tarnctl ap list shows those that are there\n");
  server_ = nullptr;
  EXPECT_EQ(Run({"fs", "list"}), 1);
  EXPECT_THAT(err_, HasSubstr("Unavailable: unix:" + dir_));
  EXPECT_THAT(err_, HasSubstr("is tarn-server running?"));
}

TEST_F(Tarnctl, WrongUsageIsTwo) {
  EXPECT_EQ(Run({}), 2);
  EXPECT_EQ(Run({"fs"}), 2);
  EXPECT_EQ(Run({"fs", "lst"}), 2);
  EXPECT_EQ(Run({"fs", "list", "--output", "xml"}), 2);
  EXPECT_EQ(Run({"ap", "create"}), 2);
  EXPECT_THAT(err_, MatchesRegex("tarnctl: [^\n]*--fs[^\n]*\n"));
  EXPECT_EQ(Run({"--server", "example.com:9400", "fs", "list"}), 2) << "twice --server";
  EXPECT_EQ(Run({"--help"}), 0);
  EXPECT_THAT(out_, HasSubstr("fsck"));
  EXPECT_EQ(Run({"--version"}), 0);
  EXPECT_THAT(out_, HasSubstr("tarnctl "));
}

TEST(Text, SizesAsPeopleReadAndWriteThem) {
  EXPECT_EQ(Bytes(0), "0 B");
  EXPECT_EQ(Bytes(1023), "1023 B");
  EXPECT_EQ(Bytes(1536), "1.5 KiB");
  EXPECT_EQ(Bytes(uint64_t{10} << 30), "10 GiB");
  EXPECT_EQ(ParseBytes("--quota", "10GiB").value(), uint64_t{10} << 30);
  EXPECT_EQ(ParseBytes("--quota", "1.5K").value(), 1536u);
  EXPECT_EQ(ParseBytes("--quota", "4096").value(), 4096u);
  EXPECT_EQ(ParseBytes("--quota", "none").value(), 0u);
  for (const char* text : {"", "GiB", "-1", "10GB", "1e30", "0.1", "10 GiB", "nan", "inf"}) {
    EXPECT_EQ(ParseBytes("--quota", text).code(), Code::kInvalid) << text;
  }
}

TEST(Text, TablesLineUp) {
  Table table({"NAME", "N"});
  table.Add({"ä", "1"});
  table.Add({"long\nname", "22"});
  std::ostringstream out;
  table.Print(out);
  EXPECT_EQ(out.str(), "NAME        N\nä           1\nlong?name  22\n");
}

}  // namespace
}  // namespace tarn::cli
