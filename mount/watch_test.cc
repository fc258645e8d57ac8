// The watcher and what it renews, with a tunnel that is a table and a clock that is moved.
#include "mount/watch.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "csi/node/fake_tunnel.h"

namespace tarn::mount {
namespace {

constexpr const char* kFs = "fs-0123456789abcdef0";

struct WatchTest : testing::Test {
  WatchTest() {
    std::string name = "/tmp/tarn-mount-XXXXXX";
    dir = mkdtemp(name.data());
    config.state = dir + "/state";
    config.registry = dir + "/registry";
    config.authority = dir + "/ca.crt";
    std::filesystem::create_directories(config.registry);
    Write("ca.crt", "an authority");
    WriteServer("10.0.0.1:2049");
    Write("credentials", "[default]\naws_access_key_id = AKIA1\naws_secret_access_key = s1\n");
    state = std::make_unique<State>(State::Open(config.state).value());
  }
  ~WatchTest() override { std::filesystem::remove_all(dir); }
  void Write(const std::string& file, const std::string& text) const {
    std::ofstream(dir + "/" + file) << text;
  }
  void WriteServer(const std::string& server) const {
    Write(std::string("registry/") + kFs + ".json",
          std::string(R"({"fileSystemId":")") + kFs + R"(","nfs":")" + server + "\"}");
  }
  // As the helper mounts it.
  Carriage Mount(const IdentitySource& identity = {}) {
    Carriage carriage = Make(identity);
    EXPECT_TRUE(state->Write(carriage).ok());
    auto opening = opener.Prepare(carriage);
    EXPECT_TRUE(opening.ok()) << opening.error().message();
    carriage.address = tunnel.Open(opening->request).value();
    EXPECT_TRUE(state->Write(carriage).ok());
    csi::MountEntry entry;
    entry.type = "fuse.tarn";
    entry.source = carriage.address + ":/";
    mounts.push_back(entry);
    return carriage;
  }
  Carriage Make(const IdentitySource& identity = {}) const {
    return MakeCarriage(ParseDevice(kFs).value(), ParseOptions({"tls"}).value(), identity, config);
  }
  IdentitySource Profile() const {
    IdentitySource source;
    source.kind = IdentitySource::Kind::kProfile;
    source.profile = "default";
    source.files = {dir + "/credentials"};
    return source;
  }
  int Opened(const Carriage& carriage) { return tunnel.mounts[carriage.Id()].times; }

  std::string dir;
  Config config;
  ManualClock clock;
  csi::FakeTunnel tunnel;
  std::vector<csi::MountEntry> mounts;
  std::unique_ptr<State> state;
  Opener opener{config, [](const std::string&) { return std::string(); }, clock};
  std::unique_ptr<Watcher> watcher;
  Watcher& Watch() {
    if (!watcher) {
      watcher = std::make_unique<Watcher>(
          *state, tunnel, opener, [this] { return Result<std::vector<csi::MountEntry>>(mounts); },
          clock);
    }
    return *watcher;
  }
};

TEST_F(WatchTest, RenewsAtHalfLifeAndWhenASourceChanges) {
  Carriage carriage = Mount(Profile());
  EXPECT_EQ(Watch().Look(), 1u);
  EXPECT_EQ(Opened(carriage), 2) << "who starts anew cannot know how old it is";
  std::string first = tunnel.mounts[carriage.Id()].request.certificate_pem;
  clock.Advance(config.life / 2 - std::chrono::seconds(1));
  Watch().Look();
  EXPECT_EQ(Opened(carriage), 2);
  clock.Advance(std::chrono::seconds(1));
  Watch().Look();
  EXPECT_EQ(Opened(carriage), 3);
  EXPECT_NE(tunnel.mounts[carriage.Id()].request.certificate_pem, first);
  Write("credentials", "[default]\naws_access_key_id = AKIA2\naws_secret_access_key = s1\n");
  Watch().Look();
  EXPECT_EQ(Opened(carriage), 4);
  WriteServer("10.0.0.2:2049");
  Watch().Look();
  EXPECT_EQ(tunnel.mounts[carriage.Id()].request.server, "10.0.0.2:2049");
  std::filesystem::remove(dir + "/credentials");
  clock.Advance(config.life);
  EXPECT_EQ(Watch().Look(), 1u) << "what is mounted stays";
  EXPECT_EQ(Opened(carriage), 5);
}

TEST_F(WatchTest, WhatIsIdleForLongIsClosed) {
  Carriage carriage = Mount();
  mounts.clear();
  for (int i = 1; i < Watcher::kIdleLooks; ++i) EXPECT_EQ(Watch().Look(), 1u);
  {
    auto mounting = state->Share();
    ASSERT_TRUE(mounting.ok());
    EXPECT_EQ(Watch().Look(), 1u) << "somebody mounts, perhaps on this";
  }
  EXPECT_EQ(Watch().Look(), 0u);
  EXPECT_FALSE(tunnel.mounts.contains(carriage.Id()));
  EXPECT_TRUE(state->ReadAll().empty());
}

TEST_F(WatchTest, ATunnelThatDoesNotAnswerClosesNothing) {
  Carriage carriage = Mount();
  tunnel.answer = Error(Code::kUnavailable, "it restarts");
  for (int i = 0; i < 2 * Watcher::kIdleLooks; ++i) EXPECT_EQ(Watch().Look(), 1u);
  tunnel.answer = Ok();
  EXPECT_EQ(Watch().Look(), 1u);
  EXPECT_EQ(Opened(carriage), 2);
}

TEST_F(WatchTest, WhatTheTunnelLostIsKeptWhileItIsMounted) {
  Carriage carriage = Mount();
  const auto lost = tunnel.mounts;
  tunnel.mounts.clear();
  for (int i = 0; i < 2 * Watcher::kIdleLooks; ++i) EXPECT_EQ(Watch().Look(), 1u);
  EXPECT_TRUE(tunnel.mounts.empty()) << "it would be at another address";
  ASSERT_EQ(state->ReadAll().size(), 1u);
  EXPECT_EQ(state->ReadAll()[0].address, carriage.address);
  tunnel.mounts = lost;
  EXPECT_EQ(Watch().Look(), 1u);
  EXPECT_EQ(Opened(carriage), 2) << "it came back, and is renewed";
  tunnel.mounts.clear();
  mounts.clear();
  for (int i = 1; i < Watcher::kIdleLooks; ++i) EXPECT_EQ(Watch().Look(), 1u);
  EXPECT_EQ(Watch().Look(), 0u);
}

TEST_F(WatchTest, WhatHasNoServerIsNotClosedIfItWasMounted) {
  Carriage carriage = Mount();
  mounts.clear();  // perhaps in another mount namespace
  tunnel.last_error = "no server answers";
  for (int i = 0; i < 2 * Watcher::kIdleLooks; ++i) EXPECT_EQ(Watch().Look(), 1u);
  EXPECT_TRUE(tunnel.mounts.contains(carriage.Id()));
  tunnel.last_error.clear();
  for (int i = 1; i < Watcher::kIdleLooks; ++i) EXPECT_EQ(Watch().Look(), 1u);
  EXPECT_EQ(Watch().Look(), 0u);
  // What failed to be mounted is not kept for its failure.
  Carriage vain = Make();
  ASSERT_TRUE(state->Write(vain).ok());
  ASSERT_TRUE(tunnel.Open(opener.Prepare(vain)->request).ok());
  tunnel.last_error = "no server answers";
  for (int i = 1; i < Watcher::kIdleLooks; ++i) EXPECT_EQ(Watch().Look(), 1u);
  EXPECT_EQ(Watch().Look(), 0u);
  EXPECT_TRUE(tunnel.mounts.empty());
}

TEST_F(WatchTest, MountsOfTheSamePartsShareACarriageOthersDoNot) {
  Carriage one = Mount(), same = Mount();
  EXPECT_EQ(one.Id(), same.Id());
  EXPECT_EQ(state->ReadAll().size(), 1u);
  EXPECT_NE(Mount(Profile()).Id(), one.Id());
  EXPECT_EQ(state->ReadAll().size(), 2u);
}

TEST_F(WatchTest, KeysOfTheEnvironmentHaveACarriageEach) {
  auto carry = [&](const std::string& id, const std::string& secret, const std::string& session) {
    std::map<std::string, std::string> variables = {{"AWS_ACCESS_KEY_ID", id},
                                                    {"AWS_SECRET_ACCESS_KEY", secret},
                                                    {"AWS_SESSION_TOKEN", session}};
    auto source = ChooseIdentity(ParseOptions({"tls,iam"}).value(),
                                 [&](const std::string& name) { return variables[name]; });
    return Make(source.value());
  };
  Carriage one = carry("AKIA1", "secret-1", "");
  EXPECT_EQ(one.Id(), carry("AKIA1", "secret-1", "").Id());
  for (const auto& other : {carry("AKIA2", "secret-1", ""), carry("AKIA1", "secret-2", ""),
                            carry("AKIA1", "secret-1", "session-1")}) {
    EXPECT_NE(one.Id(), other.Id());
    EXPECT_EQ(other.ToText().find("secret-"), std::string::npos);
    EXPECT_EQ(other.ToText().find("session-"), std::string::npos);
    EXPECT_EQ(ParseCarriage(other.ToText())->Id(), other.Id());
  }
}

TEST_F(WatchTest, OneWatchesAndRecordsOutliveIt) {
  Carriage carriage = Mount(Profile());
  auto watching = state->TryToWatch();
  ASSERT_TRUE(watching);
  EXPECT_FALSE(state->TryToWatch());
  watching.reset();
  EXPECT_TRUE(state->TryToWatch());
  auto all = State::Open(config.state)->ReadAll();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].ToText(), carriage.ToText());
  EXPECT_EQ(carriage.ToText().find("s1"), std::string::npos) << "no secret is stored";
  ASSERT_TRUE(state->Write(Make(Profile())).ok());
  EXPECT_EQ(state->ReadAll()[0].address, carriage.address) << "what began anew forgets nothing";
}

TEST_F(WatchTest, OnlyWhatIsNoJsonIsRemoved) {
  Carriage carriage = Mount();
  Write("state/mount.x.json", "nonsense");
  Write("state/mount.y.json", R"({"version": 2})");
  bool unread = true;
  EXPECT_EQ(state->ReadAll(&unread).size(), 1u);
  EXPECT_FALSE(unread);
  EXPECT_FALSE(std::filesystem::exists(config.state + "/mount.x.json"));
  EXPECT_TRUE(std::filesystem::exists(config.state + "/mount.y.json")) << "of another version";
  // A record that cannot be read now.
  std::filesystem::path record = config.state + "/" + carriage.Id() + ".json";
  std::filesystem::remove(record);
  std::filesystem::create_directory(record);
  EXPECT_EQ(state->ReadAll(&unread).size(), 0u);
  EXPECT_TRUE(unread);
  EXPECT_TRUE(std::filesystem::exists(record));
  EXPECT_EQ(Watch().Look(), 1u) << "who watches goes on";
}

TEST_F(WatchTest, AStateDirectoryThatOthersCanUseIsRefused) {
  std::filesystem::permissions(config.state, std::filesystem::perms::others_exec,
                               std::filesystem::perm_options::add);
  EXPECT_FALSE(State::Open(config.state).ok());
}

}  // namespace
}  // namespace tarn::mount
