#include "server/control/key_keeper.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "server/control/testing/fake_provider.h"
#include "server/keys/data_key.h"

namespace tarn::control {
namespace {

using std::chrono::seconds;

class KeyKeeperTest : public testing::Test, public KeyOwner {
 protected:
  KeyKeeperTest() {
    keys::KeyRing::Providers providers;
    auto provider = std::make_unique<FakeProvider>();
    provider_ = provider.get();
    providers["main"] = std::move(provider);
    ring_ = keys::KeyRing(std::move(providers), "main");
    Restart();
  }

  void Restart() {
    keeper_ = nullptr;
    keeper_ = std::make_unique<KeyKeeper>(ring_, clock_, options_, *this);
  }
  std::string Blob(const std::string& id) {
    return keys::WrapDataKey(*provider_, id, data_key_, {}).value();
  }
  void AddLocked(const std::string& id) { keeper_->Add(id, "main", Blob(id), false); }
  void StepAfter(Clock::Nanoseconds time) {
    clock_.Advance(time);
    keeper_->Step("main");
  }

  Result<void> UnlockFileSystem(const std::string& id, const SecretBytes& data_key) override {
    if (!unlock_error.ok()) return unlock_error;
    EXPECT_TRUE(data_key.Equals(data_key_.view()));
    events_.push_back("unlock " + id);
    return Ok();
  }
  void LockFileSystem(const std::string& id, vfs::LockReason reason) override {
    const bool taken = reason == vfs::LockReason::kKeyTakenAway;
    events_.push_back((taken ? "take away " : "lock ") + id);
  }
  Result<void> StoreRewrapped(const std::string& id, const std::string&,
                              const std::string& blob) override {
    if (!store_error.ok()) return store_error;
    events_.push_back("rewrap " + id + " " + keys::VersionOfBlob(blob).value());
    return Ok();
  }
  std::vector<std::string> Events() { return std::exchange(events_, {}); }
  using List = std::vector<std::string>;

  ManualClock clock_;
  KeeperOptions options_;
  SecretBytes data_key_ = keys::MakeDataKey().value();
  FakeProvider* provider_ = nullptr;
  keys::KeyRing ring_;
  std::unique_ptr<KeyKeeper> keeper_;
  List events_;
  Result<void> unlock_error;
  Result<void> store_error;
};

TEST_F(KeyKeeperTest, UnlocksAtTheFirstStep) {
  AddLocked("fs-1");
  EXPECT_NE(keeper_->WhyLocked("fs-1")->find("not asked for yet"), std::string::npos);
  keeper_->Step("main");
  EXPECT_EQ(Events(), List{"unlock fs-1"});
  EXPECT_EQ(keeper_->WhyLocked("fs-1"), std::nullopt);
  // Each file system is asked for once in 30 s at most.
  const uint64_t unwraps = provider_->unwraps;
  for (int i = 0; i < 29; ++i) StepAfter(seconds(1));
  EXPECT_EQ(provider_->unwraps, unwraps);
  StepAfter(seconds(1));
  EXPECT_EQ(provider_->unwraps, unwraps + 1);
  EXPECT_EQ(Events(), List{});
}

TEST_F(KeyKeeperTest, ADefiniteLossLocksAndTheKeysReturnUnlocks) {
  for (Code code : {Code::kNotFound, Code::kDenied, Code::kCorrupt}) {
    keeper_->Remove("fs-1");
    AddLocked("fs-1");
    keeper_->Step("main");
    EXPECT_EQ(Events(), List{"unlock fs-1"});
    provider_->unwrap_error = Error(code, "gone");
    StepAfter(seconds(31));
    EXPECT_EQ(Events(), List{"take away fs-1"});
    EXPECT_NE(keeper_->WhyLocked("fs-1")->find("taken away"), std::string::npos);
    for (int i = 0; i < 20; ++i) StepAfter(seconds(1));
    EXPECT_EQ(Events(), List{});
    provider_->unwrap_error.reset();
    StepAfter(seconds(16));
    EXPECT_EQ(Events(), List{"unlock fs-1"});
  }
}

TEST_F(KeyKeeperTest, AFailingCheckMakesItAskAtOnce) {
  AddLocked("fs-1");
  keeper_->Step("main");
  StepAfter(seconds(10));
  provider_->unwrap_error = provider_->check_error = Error(Code::kNotFound, "gone");
  Events();
  StepAfter(seconds(5));  // the check is due, the file system not
  EXPECT_EQ(Events(), List{"take away fs-1"});
}

TEST_F(KeyKeeperTest, TroubleLocksNothing) {
  AddLocked("fs-1");
  keeper_->Step("main");
  Events();
  provider_->unwrap_error = provider_->check_error = Error(Code::kUnavailable, "no route");
  for (int i = 0; i < 3600; ++i) StepAfter(seconds(10));
  EXPECT_EQ(Events(), List{});
  EXPECT_EQ(keeper_->WhyLocked("fs-1"), std::nullopt);
  auto state = keeper_->Keys().at(0);
  EXPECT_GT(state.unavailable_seconds, 35'000);
  EXPECT_EQ(state.error, "Unavailable: no route");
  EXPECT_EQ(state.locked, 0u);
  // And it is asked at most once in 15 s.
  EXPECT_LT(state.unwraps, 2500u);
}

TEST_F(KeyKeeperTest, TroubleLocksAfterTheTimeThatIsAllowed) {
  options_.unavailable_max = seconds(60);
  Restart();
  AddLocked("fs-1");
  keeper_->Step("main");
  Events();
  provider_->unwrap_error = Error(Code::kUnavailable, "no route");
  StepAfter(seconds(31));
  for (int i = 0; i < 5; ++i) StepAfter(seconds(10));
  EXPECT_EQ(Events(), List{});
  for (int i = 0; i < 3; ++i) StepAfter(seconds(10));
  EXPECT_EQ(Events(), List{"lock fs-1"});
  provider_->unwrap_error.reset();
  StepAfter(seconds(16));
  EXPECT_EQ(Events(), List{"unlock fs-1"});
}

TEST_F(KeyKeeperTest, AProviderThatIsDownAtStartIsTriedWithBackoff) {
  provider_->unwrap_error = Error(Code::kUnavailable, "no route");
  AddLocked("fs-1");
  AddLocked("fs-2");
  keeper_->Step("main");
  EXPECT_NE(keeper_->WhyLocked("fs-2")->find("no route"), std::string::npos);
  for (int i = 0; i < 60; ++i) StepAfter(seconds(1));
  EXPECT_LT(provider_->unwraps, 2 * 10u);
  provider_->unwrap_error.reset();
  StepAfter(seconds(15));
  EXPECT_EQ(Events(), (List{"unlock fs-1", "unlock fs-2"}));
}

TEST_F(KeyKeeperTest, WhoComesBehindAHangingCallNeedNotWaitForTheSameAnswer) {
  provider_->unwrap_error = Error(Code::kUnavailable, "timeout");
  provider_->before_error = [this] { clock_.Advance(keys::kCallTimeout); };
  for (const char* id : {"fs-1", "fs-2", "fs-3"}) AddLocked(id);
  keeper_->Step("main");
  EXPECT_EQ(provider_->unwraps, 1u);
  EXPECT_NE(keeper_->WhyLocked("fs-3")->find("timeout"), std::string::npos);
  // But each has its turn.
  provider_->unwrap_error = Error(Code::kDenied, "disabled");
  for (int i = 0; i < 3; ++i) StepAfter(seconds(2));
  EXPECT_EQ(Events(), (List{"take away fs-2", "take away fs-3", "take away fs-1"}));
}

// Of all that are due at once, only the blobs of version 2 are in trouble.
TEST_F(KeyKeeperTest, TroubleOfSomeKeepsNoOtherWaiting) {
  constexpr int kOthers = 50;
  for (bool slow : {false, true}) {
    Restart();
    provider_->unwrap_errors.clear();
    if (slow) provider_->before_error = [this] { clock_.Advance(keys::kCallTimeout); };
    provider_->version = 2;
    for (int i = 0; i < kOthers; ++i) AddLocked("fs-a" + std::to_string(i));
    provider_->version = 1;
    AddLocked("fs-z");
    provider_->unwrap_errors.emplace("2", Error(Code::kUnavailable, "that version is not here"));
    for (int i = 0; i <= kOthers && keeper_->WhyLocked("fs-z"); ++i) StepAfter(seconds(1));
    EXPECT_EQ(Events(), List{"unlock fs-z"});
    // Nor is a loss seen later.
    provider_->unwrap_errors.emplace("1", Error(Code::kDenied, "disabled"));
    const auto begun = clock_.Monotonic();
    while (Events() != List{"take away fs-z"} && clock_.Monotonic() - begun < seconds(45)) {
      StepAfter(seconds(1));
    }
    EXPECT_NE(keeper_->WhyLocked("fs-z").value_or("").find("disabled"), std::string::npos);
  }
}

class KeysThatHang : public KeyKeeperTest {
 protected:
  // Calls in trouble take their time, as one after the other they do.
  KeysThatHang() {
    options_.unavailable_max = seconds(60);
    Restart();
    for (int i = 0; i < kOthers; ++i) AddLocked("fs-a" + std::to_string(i));
    provider_->version = 2;
    AddLocked("fs-z");
    store_error = Error(Code::kIo, "no disk");  // so that the others stay with version 1
    keeper_->Step("main");
    Events();
    provider_->before_error = [this] { clock_.Advance(keys::kCallTimeout); };
  }
  void StepFor(seconds time) {
    const auto end = clock_.Monotonic() + time;
    while (clock_.Monotonic() < end) StepAfter(seconds(1));
  }
  static constexpr int kOthers = 20;
  const Error timeout_{Code::kUnavailable, "timeout"};
};

TEST_F(KeysThatHang, OfOthersLockNoneWhoseKeyCanBeHad) {
  provider_->unwrap_errors.emplace("1", timeout_);
  StepFor(seconds(300));
  const List events = Events();
  EXPECT_EQ(std::count(events.begin(), events.end(), "lock fs-z"), 0);
  EXPECT_EQ(events.size(), static_cast<size_t>(kOthers));
}

TEST_F(KeysThatHang, OfAProviderThatIsDownLockAllInTime) {
  provider_->unwrap_error = provider_->check_error = timeout_;
  StepFor(seconds(30 + 60 + 30));
  EXPECT_EQ(Events().size(), static_cast<size_t>(kOthers + 1));
}

// The answer comes when there is another file system of that id.
TEST_F(KeyKeeperTest, AnAnswerForOneThatWasRemovedIsNoneForItsSuccessor) {
  AddLocked("fs-1");
  provider_->unwrap_error = Error(Code::kDenied, "disabled");
  provider_->before_unwrap = [this] {
    keeper_->Remove("fs-1");
    keeper_->Add("fs-1", "main", Blob("fs-1"), true);
  };
  keeper_->Step("main");
  EXPECT_EQ(Events(), List{});
  EXPECT_EQ(keeper_->WhyLocked("fs-1"), std::nullopt);
}

// What was taken away is not given back by a provider that cannot be asked.
TEST_F(KeyKeeperTest, TroubleAfterALossKeepsItLocked) {
  AddLocked("fs-1");
  keeper_->Step("main");
  provider_->unwrap_error = Error(Code::kDenied, "disabled");
  StepAfter(seconds(31));
  Events();
  provider_->unwrap_error = Error(Code::kUnavailable, "no route");
  StepAfter(seconds(16));
  EXPECT_NE(keeper_->WhyLocked("fs-1")->find("disabled"), std::string::npos);
  EXPECT_EQ(Events(), List{});
}

TEST_F(KeyKeeperTest, RewrapsWhenTheVersionMovedOn) {
  AddLocked("fs-1");
  keeper_->Step("main");
  Events();
  provider_->version = 2;
  StepAfter(seconds(31));
  EXPECT_EQ(Events(), List{"rewrap fs-1 2"});
  StepAfter(seconds(31));
  EXPECT_EQ(Events(), List{});
  EXPECT_EQ(keeper_->Keys().at(0).rewraps, 1u);
}

TEST_F(KeyKeeperTest, ARewrapThatCannotBeStoredIsTriedAgain) {
  AddLocked("fs-1");
  keeper_->Step("main");
  Events();
  provider_->version = 2;
  store_error = Error(Code::kIo, "no disk");
  StepAfter(seconds(31));
  EXPECT_EQ(Events(), List{});
  store_error = Ok();
  StepAfter(seconds(31));
  EXPECT_EQ(Events(), List{"rewrap fs-1 2"});
}

TEST_F(KeyKeeperTest, ARewrappedBlobThatDoesNotUnwrapIsNotTaken) {
  AddLocked("fs-1");
  keeper_->Step("main");
  Events();
  provider_->version = 2;
  provider_->wraps_rubbish = true;
  StepAfter(seconds(31));
  EXPECT_EQ(Events(), List{});
  EXPECT_FALSE(keeper_->Rewrap("fs-1").ok());
  provider_->wraps_rubbish = false;
  EXPECT_TRUE(keeper_->Rewrap("fs-1").ok());
}

TEST_F(KeyKeeperTest, AnOwnerThatFailsToUnlockIsAskedAgain) {
  unlock_error = Error(Code::kInvalid, "another key");
  AddLocked("fs-1");
  keeper_->Step("main");
  EXPECT_NE(keeper_->WhyLocked("fs-1")->find("another key"), std::string::npos);
  unlock_error = Ok();
  StepAfter(seconds(2));
  EXPECT_EQ(Events(), List{"unlock fs-1"});
}

TEST_F(KeyKeeperTest, AKeyThatTheServerDoesNotHaveIsTold) {
  keeper_->Add("fs-1", "other", Blob("fs-1"), false);
  keeper_->Step("main");
  EXPECT_NE(keeper_->WhyLocked("fs-1")->find("--key other=URI"), std::string::npos);
  EXPECT_EQ(keeper_->Rewrap("fs-1").code(), Code::kNotFound);
  EXPECT_EQ(keeper_->CheckNow("other").code(), Code::kNotFound);
}

TEST_F(KeyKeeperTest, EndsWhileAProviderHangs) {
  AddLocked("fs-1");
  provider_->hang = true;
  keeper_->Start();
  while (!provider_->hanging) std::this_thread::yield();
  keeper_ = nullptr;
  EXPECT_EQ(Events(), List{});
}

}  // namespace
}  // namespace tarn::control
