// Encrypted file systems in the control API, over the memory engine and a key in files.
#include <gtest/gtest.h>

#include "server/control/sealed_records.h"
#include "server/control/testing/fake_provider.h"
#include "server/control/testing/world.h"
#include "server/keys/data_key.h"
#include "server/keys/testing/key_files.h"

namespace tarn::control {
namespace {

using std::chrono::seconds;

class EncryptionTest : public World {
 protected:
  EncryptionTest() {
    files_.Write("v1", std::string(32, 'a'));
    ring_ = keys::KeyRing::Open({"main=file://" + files_.path()}, "").value();
    options_.keys = ring_.get();
    options_.keeper_threads = false;
    Restart();
  }
  ~EncryptionTest() override { manager_ = nullptr; }

  // The memory engine lives on, so what its own restart does is done here.
  void Restart() {
    manager_ = nullptr;
    constexpr uint32_t kNumbers = 64;
    for (uint32_t number = 1; number < kNumbers; ++number) {
      if (engine_.encrypted(number)) (void)engine_.Lock(number, vfs::LockReason::kKeyNotThere);
    }
    World::Restart();
  }
  static v1::CreateFileSystemRequest Request(const std::string& token) {
    v1::CreateFileSystemRequest request;
    request.set_creation_token(token);
    request.set_encrypted(true);
    return request;
  }
  std::string Make(const std::string& token) {
    auto made = manager_->CreateFileSystem(Request(token));
    EXPECT_TRUE(made.ok()) << made.error().ToString();
    return made.ok() ? made->file_system_id() : "";
  }
  void Step(seconds after = seconds(0)) {
    clock_.Advance(after);
    Step("main");
  }
  void Step(const std::string& key) { manager_->keeper().Step(key); }
  v1::FileSystemDescription Show(const std::string& id) { return DescribeFileSystem(id).value(); }
  // What a mount finds first: the attributes of the root.
  Code MountCode(const std::string& zone) {
    for (auto [listener, tag] : listeners_.tags) {
      auto root = manager_->exports().Root(tag);
      if (!root.ok()) return root.code();
      return (*root)->engine->GetAttributes({.uid = 0, .gid = 0, .gids = {}}, (*root)->root).code();
    }
    ADD_FAILURE() << "no listener " << zone;
    return Code::kInternal;
  }
  std::string AllRecords() {
    std::string all;
    EXPECT_TRUE(engine_.real()
                    .records()
                    .Scan("",
                          [&](std::string_view key, std::string_view value) {
                            all.append(key).append(value);
                            return true;
                          })
                    .ok());
    return all;
  }

  keys::KeyFiles files_;
  std::unique_ptr<keys::KeyRing> ring_;
};

TEST_F(EncryptionTest, IsMadeWithTheDefaultKeyAndShown) {
  auto shown = Show(Make("a"));
  EXPECT_TRUE(shown.encrypted());
  EXPECT_EQ(shown.kms_key_id(), "main");
  EXPECT_TRUE(shown.kms_key_version().starts_with("v1#"));
  EXPECT_EQ(shown.life_cycle_state(), "available");
  EXPECT_EQ(shown.status_message(), "");
  EXPECT_FALSE(Show(MakeFileSystem("plain").file_system_id()).encrypted());
}

TEST_F(EncryptionTest, TheRequestIsChecked) {
  auto request = Request("a");
  request.set_encrypted(false);
  request.set_kms_key_id("main");
  EXPECT_EQ(EfsName(manager_->CreateFileSystem(request)), "BadRequest");
  request = Request("a");
  request.set_kms_key_id("other");
  EXPECT_EQ(EfsName(manager_->CreateFileSystem(request)), "BadRequest");
  files_.Remove("v1");
  EXPECT_EQ(EfsName(manager_->CreateFileSystem(Request("a"))), "BadRequest");
  files_.Write("v1", "torn");
  EXPECT_EQ(EfsName(manager_->CreateFileSystem(Request("a"))), "DependencyTimeout");
  options_.keys = nullptr;
  Restart();
  EXPECT_EQ(EfsName(manager_->CreateFileSystem(Request("a"))), "BadRequest");
}

TEST_F(EncryptionTest, IsIdempotentByToken) {
  std::string id = Make("a");
  files_.Remove("v1");  // a repetition needs no key
  EXPECT_EQ(Make("a"), id);
  auto plain = Request("a");
  plain.set_encrypted(false);
  EXPECT_EQ(EfsName(manager_->CreateFileSystem(plain)), "FileSystemAlreadyExists");
}

TEST_F(EncryptionTest, IsLockedAfterAStartUntilItsKeyIsThere) {
  std::string id = Make("a");
  ASSERT_TRUE(MakeMountTarget(id, "z", "127.0.0.1").ok());
  files_.Remove("v1");
  Restart();
  Step();
  auto shown = Show(id);
  EXPECT_EQ(shown.life_cycle_state(), "error");
  EXPECT_NE(shown.status_message().find("taken away"), std::string::npos);
  EXPECT_EQ(MountCode("z"), Code::kDenied);
  EXPECT_EQ(EfsName(MakeMountTarget(id, "y")), "IncorrectFileSystemLifeCycleState");
  MakeFileSystem("another");  // others are served
  files_.Write("v1", std::string(32, 'a'));
  Step(seconds(16));
  EXPECT_EQ(Show(id).life_cycle_state(), "available");
  EXPECT_EQ(MountCode("z"), Code::kOk);
}

TEST_F(EncryptionTest, WithAProviderInTroubleMountsWait) {
  std::string id = Make("a");
  ASSERT_TRUE(MakeMountTarget(id, "z", "127.0.0.1").ok());
  files_.Write("v1", "torn");
  Restart();
  EXPECT_EQ(MountCode("z"), Code::kUnavailable);
  Step();
  EXPECT_EQ(MountCode("z"), Code::kUnavailable);
  EXPECT_NE(Show(id).status_message().find("cannot be had"), std::string::npos);
}

TEST_F(EncryptionTest, ATakenKeyLocksWithinAMinute) {
  std::string id = Make("a");
  ASSERT_TRUE(MakeMountTarget(id, "z", "127.0.0.1").ok());
  files_.Remove("v1");
  for (int i = 0; i < 60 && MountCode("z") == Code::kOk; ++i) Step(seconds(1));
  EXPECT_EQ(MountCode("z"), Code::kDenied);
  EXPECT_EQ(EfsName(manager_->CreateAccessPoint(AccessPointRequest(id, "t", "/d"))),
            "IncorrectFileSystemLifeCycleState");
}

// Each write of the creation may be the last one.
TEST_F(EncryptionTest, ACrashAtEachStepOfCreationLeavesNothingUnusable) {
  for (int64_t writes = 0; writes < 6; ++writes) {
    const std::string token = "crash " + std::to_string(writes);
    engine_.writes_left = writes;
    auto made = manager_->CreateFileSystem(Request(token));
    Restart();
    // What its intent is written down of, is made when its key is there; what is not, is not.
    Step();
    v1::DescribeFileSystemsRequest request;
    request.set_creation_token(token);
    auto found = manager_->DescribeFileSystems(request).value();
    if (made.ok()) {
      EXPECT_EQ(found.file_systems_size(), 1);
    }
    for (const auto& fs : found.file_systems()) {
      EXPECT_EQ(fs.life_cycle_state(), "available") << writes;
      EXPECT_TRUE(fs.encrypted());
    }
    std::string id = Make(token);
    EXPECT_EQ(Show(id).life_cycle_state(), "available");
    Restart();
    Step();
    EXPECT_EQ(Show(id).life_cycle_state(), "available");
    EXPECT_TRUE(DeleteFileSystem(id).ok());
  }
}

TEST_F(EncryptionTest, ACreationWithoutItsKeyCanBeDeleted) {
  engine_.writes_left = 1;  // the intent, and no more
  ASSERT_FALSE(manager_->CreateFileSystem(Request("a")).ok());
  files_.Remove("v1");
  Restart();
  Step();
  v1::DescribeFileSystemsRequest request;
  request.set_creation_token("a");
  auto found = manager_->DescribeFileSystems(request).value();
  ASSERT_EQ(found.file_systems_size(), 1);
  EXPECT_EQ(found.file_systems(0).life_cycle_state(), "creating");
  EXPECT_NE(found.file_systems(0).status_message(), "");
  EXPECT_TRUE(DeleteFileSystem(found.file_systems(0).file_system_id()).ok());
}

TEST_F(EncryptionTest, AccessPointsNamesAreSealedAndComeBack) {
  std::string id = Make("a");
  auto request = AccessPointRequest(id, "token-kestrel", "/path-kestrel");
  auto& tag = *request.add_tags();
  tag.set_key("Name");
  tag.set_value("name-kestrel");
  std::string ap = manager_->CreateAccessPoint(request)->access_point_id();
  std::string gone = MakeAccessPoint(id, "token-2", "/gone-kestrel").access_point_id();
  ASSERT_TRUE(manager_->exports().Enter(NumberOf(id), ap).ok());
  ASSERT_TRUE(DeleteAccessPoint(gone, false).ok());
  EXPECT_EQ(AllRecords().find("kestrel"), std::string::npos);

  Restart();
  EXPECT_EQ(EfsName(DescribeOne(ap)), "IncorrectFileSystemLifeCycleState");
  EXPECT_EQ(EfsName(DeleteAccessPoint(ap, false)), "IncorrectFileSystemLifeCycleState");
  EXPECT_EQ(EfsName(DescribeOne(gone)), "AccessPointNotFound");
  Step();
  auto shown = DescribeOne(ap);
  ASSERT_TRUE(shown.ok()) << shown.error().ToString();
  EXPECT_EQ(shown->root_directory().path(), "/path-kestrel");
  EXPECT_EQ(shown->name(), "name-kestrel");
  EXPECT_EQ(manager_->CreateAccessPoint(request)->access_point_id(), ap);
  EXPECT_TRUE(DeleteAccessPoint(ap, true).ok());
}

// Handles of clients that stay mounted over a restart are not stale, only not answered yet.
TEST_F(EncryptionTest, HandlesAreKnownWhileLocked) {
  std::string id = Make("a");
  uint32_t number = NumberOf(id);
  std::string ap = MakeAccessPoint(id, "t", "/d").access_point_id();
  auto entered = manager_->exports().Enter(number, ap);
  ASSERT_TRUE(entered.ok());
  uint64_t ap_number = (*entered)->number;
  std::string unused = MakeAccessPoint(id, "u", "/unused").access_point_id();
  Restart();
  for (uint64_t handle : {uint64_t{0}, ap_number}) {
    auto found = manager_->exports().Find(number, handle);
    ASSERT_TRUE(found.ok());
    EXPECT_EQ((*found)->engine->GetAttributes({}, (*found)->root).code(), Code::kUnavailable);
  }
  EXPECT_EQ(manager_->exports().Enter(number, unused).code(), Code::kUnavailable);
  files_.Remove("v1");
  Step();
  EXPECT_EQ(manager_->exports().Enter(number, unused).code(), Code::kDenied);
}

TEST_F(EncryptionTest, ALockedOneCanBeDeletedWithItsKeyAndAccessPoints) {
  std::string id = Make("a");
  std::string ap = MakeAccessPoint(id, "t", "/d").access_point_id();
  files_.Remove("v1");
  Restart();
  Step();
  EXPECT_TRUE(DeleteFileSystem(id).ok());
  EXPECT_EQ(EfsName(DescribeFileSystem(id)), "FileSystemNotFound");
  EXPECT_EQ(EfsName(DescribeOne(ap)), "AccessPointNotFound");
  EXPECT_EQ(AllRecords().find(id), std::string::npos);
  Restart();
  EXPECT_EQ(EfsName(DescribeFileSystem(id)), "FileSystemNotFound");
}

TEST_F(EncryptionTest, RotationRewrapsByItselfAndOnDemand) {
  std::string id = Make("a");
  files_.Write("v2", std::string(32, 'b'));
  for (int i = 0; i < 40; ++i) Step(seconds(1));
  EXPECT_TRUE(Show(id).kms_key_version().starts_with("v2#"));
  files_.Write("v3", std::string(32, 'c'));
  v1::RewrapDataKeyRequest request;
  request.set_file_system_id(id);
  auto now = manager_->RewrapDataKey(request);
  ASSERT_TRUE(now.ok()) << now.error().ToString();
  EXPECT_TRUE(now->kms_key_version().starts_with("v3#"));
  files_.Remove("v1");
  files_.Remove("v2");
  Restart();
  Step();
  EXPECT_EQ(Show(id).life_cycle_state(), "available");
}

TEST_F(EncryptionTest, RewrapNamesWhatIsWrong) {
  v1::RewrapDataKeyRequest request;
  request.set_file_system_id(MakeFileSystem("plain").file_system_id());
  EXPECT_EQ(EfsName(manager_->RewrapDataKey(request)), "BadRequest");
  request.set_file_system_id(Make("a"));
  files_.Write("v1", "torn");
  EXPECT_EQ(EfsName(manager_->RewrapDataKey(request)), "DependencyTimeout");
}

// The blob of one file system in the record of another.
TEST_F(EncryptionTest, ABlobOfAnotherFileSystemDoesNotUnlock) {
  std::string one = Make("a");
  std::string two = Make("b");
  auto& records = engine_.real().records();
  records::FileSystem first;
  records::FileSystem second;
  ASSERT_TRUE(first.ParseFromString(**records.Get("control/fs/" + one)));
  ASSERT_TRUE(second.ParseFromString(**records.Get("control/fs/" + two)));
  second.set_data_key(first.data_key());
  manager_ = nullptr;
  ASSERT_TRUE(records.Put("control/fs/" + two, second.SerializeAsString()).ok());
  Restart();
  Step();
  EXPECT_EQ(Show(one).life_cycle_state(), "available");
  EXPECT_EQ(Show(two).life_cycle_state(), "error");
  EXPECT_NE(Show(two).status_message().find("another file system's"), std::string::npos);
}

TEST_F(EncryptionTest, KeysAreDescribedAndChecked) {
  Make("a");
  auto keys = manager_->DescribeKeys({}).value();
  ASSERT_EQ(keys.keys_size(), 1);
  EXPECT_EQ(keys.keys(0).state(), "unknown");
  v1::DescribeKeysRequest request;
  request.set_name("main");
  request.set_check(true);
  auto checked = manager_->DescribeKeys(request).value();
  EXPECT_EQ(checked.keys(0).state(), "available");
  EXPECT_EQ(checked.keys(0).number_of_file_systems(), 1u);
  EXPECT_TRUE(checked.keys(0).is_default());
  files_.Remove("v1");
  EXPECT_EQ(manager_->DescribeKeys(request)->keys(0).state(), "lost");
  Step();
  EXPECT_EQ(manager_->DescribeKeys({})->keys(0).number_of_locked_file_systems(), 1u);
  request.set_name("other");
  EXPECT_EQ(EfsName(manager_->DescribeKeys(request)), "BadRequest");
}

TEST_F(EncryptionTest, TheDefaultFileSystemMayBeEncryptedAndLockedAtAStart) {
  const std::string id = "fs-0123456789abcdef0";
  ASSERT_TRUE(manager_->EnsureDefaultFileSystem(id, "main").ok());
  EXPECT_TRUE(Show(id).encrypted());
  files_.Remove("v1");
  Restart();
  Step();
  EXPECT_TRUE(manager_->EnsureDefaultFileSystem(id, "main").ok());
}

TEST_F(EncryptionTest, TheDefaultFileSystemIsNotServedPlainWhenItIsToBeEncrypted) {
  const std::string id = "fs-0123456789abcdef0";
  ASSERT_TRUE(manager_->EnsureDefaultFileSystem(id).ok());
  Restart();
  auto asked = manager_->EnsureDefaultFileSystem(id, "main");
  EXPECT_EQ(EfsName(asked), "BadRequest");
  EXPECT_NE(asked.error().message().find("is not encrypted"), std::string::npos);
  EXPECT_TRUE(manager_->EnsureDefaultFileSystem(id).ok());
}

// Else the server would not start again, as its key comes after the start only.
TEST_F(EncryptionTest, ACrashInTheFirstCreationOfTheDefaultFileSystem) {
  const std::string id = "fs-0123456789abcdef0";
  for (int64_t writes = 1; writes < 4; ++writes) {
    engine_.writes_left = writes;
    bool made = manager_->EnsureDefaultFileSystem(id, "main").ok();
    Restart();
    auto started = manager_->EnsureDefaultFileSystem(id, "main");
    ASSERT_TRUE(started.ok()) << writes << ": " << started.error().ToString();
    Step();
    EXPECT_EQ(Show(id).life_cycle_state(), "available") << writes;
    auto root = manager_->exports().Root(kDefaultListenerTag);
    ASSERT_TRUE(root.ok()) << writes;
    EXPECT_TRUE(
        (*root)->engine->GetAttributes({.uid = 0, .gid = 0, .gids = {}}, (*root)->root).ok());
    if (made) break;
    Restart();
    ASSERT_TRUE(DeleteFileSystem(id).ok());
  }
}

// The record that says so cannot be written, when the key comes.
TEST_F(EncryptionTest, ACreationThatFailsWhenItsKeyComesIsTriedAgain) {
  engine_.writes_left = 1;  // the intent, and no more
  ASSERT_FALSE(manager_->CreateFileSystem(Request("a")).ok());
  Restart();
  v1::DescribeFileSystemsRequest request;
  request.set_creation_token("a");
  engine_.writes_left = 1;  // the engine's
  Step();
  auto found = manager_->DescribeFileSystems(request)->file_systems(0);
  EXPECT_EQ(found.life_cycle_state(), "creating");
  EXPECT_FALSE(found.has_size_in_bytes()) << "nothing is served of it";
  engine_.writes_left = INT64_MAX;
  for (int i = 0; i < 60; ++i) Step(seconds(1));
  found = manager_->DescribeFileSystems(request)->file_systems(0);
  EXPECT_EQ(found.life_cycle_state(), "available");
  const std::string id = found.file_system_id();
  MakeAccessPoint(id, "t", "/d");
  Restart();
  Step();
  EXPECT_EQ(Show(id).life_cycle_state(), "available");
}

// It is deleted, and another one made under its id, while its data key is being wrapped again.
TEST_F(EncryptionTest, ARewrapIsNotStoredOverAnotherFileSystemOfThatId) {
  auto owned = std::make_unique<FakeProvider>();
  FakeProvider& provider = *owned;
  keys::KeyRing::Providers providers;
  providers["fake"] = std::move(owned);
  manager_ = nullptr;
  ring_ = std::make_unique<keys::KeyRing>(std::move(providers), "fake");
  options_.keys = ring_.get();
  Restart();
  const std::string id = "fs-0123456789abcdef0";
  auto request = Request("first");
  request.set_file_system_id(id);
  ASSERT_TRUE(manager_->CreateFileSystem(request).ok());
  provider.version = 2;
  provider.before_wrap = [&] {
    EXPECT_TRUE(DeleteFileSystem(id).ok());
    request.set_creation_token("second");
    EXPECT_TRUE(manager_->CreateFileSystem(request).ok());
  };
  v1::RewrapDataKeyRequest rewrap;
  rewrap.set_file_system_id(id);
  EXPECT_EQ(manager_->RewrapDataKey(rewrap).code(), Code::kAborted);
  // Its own key is what unlocks it.
  Restart();
  Step("fake");
  EXPECT_EQ(Show(id).life_cycle_state(), "available") << Show(id).status_message();
}

TEST_F(EncryptionTest, ATakenKeyTakesNamesOutOfMemory) {
  std::string id = Make("a");
  uint32_t number = NumberOf(id);
  auto request = AccessPointRequest(id, "token", "/kestrel");
  std::string ap = manager_->CreateAccessPoint(request)->access_point_id();
  auto entered = manager_->exports().Enter(number, ap);
  ASSERT_TRUE(entered.ok());
  const uint64_t handle = (*entered)->number;
  for (int round = 0; round < 2; ++round) {
    files_.Remove("v1");
    for (int i = 0; i < 60; ++i) Step(seconds(1));
    EXPECT_EQ(EfsName(DescribeOne(ap)), "IncorrectFileSystemLifeCycleState");
    EXPECT_EQ(EfsName(DeleteAccessPoint(ap, false)), "IncorrectFileSystemLifeCycleState");
    auto found = manager_->exports().Find(number, handle);
    ASSERT_TRUE(found.ok()) << "a handle is not stale";
    EXPECT_EQ((*found)->engine->GetAttributes({}, (*found)->root).code(), Code::kDenied);
    EXPECT_EQ(manager_->exports().Enter(number, ap).value()->number, handle);
    files_.Write("v1", std::string(32, 'a'));
    for (int i = 0; i < 60; ++i) Step(seconds(1));
    EXPECT_EQ(DescribeOne(ap)->root_directory().path(), "/kestrel");
    EXPECT_TRUE((*found)->engine->GetAttributes({}, (*found)->root).ok());
  }
  EXPECT_EQ(manager_->CreateAccessPoint(request)->access_point_id(), ap) << "its token is known";
  EXPECT_TRUE(DeleteAccessPoint(ap, true).ok());
  EXPECT_EQ(manager_->exports().Find(number, handle).code(), Code::kNotFound);
}

// Of all file systems, one is locked when its turn comes.
TEST_F(EncryptionTest, ALockOfOneEndsNoScrubAndNoCheckOfTheOthers) {
  std::vector<std::string> ids = {Make("a"), Make("b")};
  std::sort(ids.begin(), ids.end());
  ASSERT_TRUE(engine_.Lock(NumberOf(ids[0]), vfs::LockReason::kKeyTakenAway).ok());
  auto checked = manager_->Fsck({});
  ASSERT_TRUE(checked.ok()) << checked.error().ToString();
  EXPECT_EQ(checked->problem_count(), 1u);
  EXPECT_NE(checked->problems(0).find(ids[0] + ": not checked to its end"), std::string::npos);
  ASSERT_TRUE(manager_->StartScrub({}).ok());
  auto report = WaitForEnd([&] { return manager_->DescribeScrub({}).value(); });
  EXPECT_EQ(report.state(), "done");
  ASSERT_EQ(report.problem_count(), 1u);
  EXPECT_NE(report.problems(0).find(ids[0] + ": not scrubbed to its end"), std::string::npos);
  EXPECT_GT(report.bytes(), 0u) << "the database comes last";
}

TEST(SealedRecord, IsBoundToItsAccessPoint) {
  SecretBytes key = keys::MakeDataKey().value();
  auto sealer = RecordSealer(key).value();
  records::AccessPoint record;
  record.mutable_description()->set_access_point_id("fsap-1");
  record.mutable_description()->mutable_root_directory()->set_path("/secret");
  record.mutable_request()->set_client_token("secret");
  record.set_number(7);
  auto sealed = SealRecord(*sealer, record).value();
  EXPECT_EQ(sealed.number(), 7u);
  EXPECT_EQ(sealed.SerializeAsString().find("secret"), std::string::npos);
  auto opened = OpenRecord(*sealer, sealed);
  ASSERT_TRUE(opened.ok());
  EXPECT_EQ(opened->SerializeAsString(), record.SerializeAsString());
  sealed.mutable_description()->set_access_point_id("fsap-2");
  EXPECT_EQ(OpenRecord(*sealer, sealed).code(), Code::kCorrupt);
}

}  // namespace
}  // namespace tarn::control
