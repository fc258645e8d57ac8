#include "server/keys/file_provider.h"

#include <gtest/gtest.h>
#include <sys/fsuid.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <thread>

#include "server/keys/testing/key_files.h"

namespace tarn::keys {
namespace {

const std::string kRaw(32, '\x81');
// 32 times 'k'.
constexpr char kText[] = "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=\n";

class FileProviderTest : public testing::Test {
 protected:
  FileProviderTest() : provider_(OpenProvider("file://" + files_.path()).value()) {}

  Result<Wrapped> Wrap() { return provider_->Wrap(SecretBytes("the data key"), {}); }
  std::string Unwrap(const Wrapped& wrapped) {
    auto secret = provider_->Unwrap(wrapped, {});
    return secret.ok() ? std::string(secret->view()) : std::string(CodeName(secret.code()));
  }

  KeyFiles files_;
  std::unique_ptr<KeyProvider> provider_;
};

TEST_F(FileProviderTest, WrapsWithRawAndTextKeys) {
  files_.Write("v1", kRaw);
  auto first = Wrap();
  ASSERT_TRUE(first.ok()) << first.error().ToString();
  files_.Write("v1", kText);
  auto second = Wrap();
  ASSERT_TRUE(second.ok()) << second.error().ToString();
  EXPECT_EQ(Unwrap(*second), "the data key");
  EXPECT_NE(first->version, second->version);
  EXPECT_EQ(first->ciphertext.find("the data key"), std::string::npos);
}

TEST_F(FileProviderTest, NewestWrapsAndOlderOnesUnwrap) {
  files_.Write("v9", kRaw);
  auto old = Wrap().value();
  files_.Write("v10", kText);
  auto now = Wrap().value();
  EXPECT_TRUE(now.version.starts_with("v10#"));
  EXPECT_EQ(provider_->Check({}).value(), now.version);
  EXPECT_NE(old.version, now.version);
  EXPECT_EQ(Unwrap(old), "the data key");
  auto again = provider_->Rewrap(old, {});
  ASSERT_TRUE(again.ok());
  files_.Remove("v9");
  EXPECT_EQ(Unwrap(old), "NotFound");
  EXPECT_EQ(Unwrap(*again), "the data key");
}

TEST_F(FileProviderTest, KnowsAKeyByItsContentNotByItsName) {
  files_.Write("v1", kRaw);
  auto wrapped = Wrap().value();
  files_.Write("v1", kText);
  EXPECT_EQ(Unwrap(wrapped), "NotFound");
  files_.Write("renamed", kRaw);
  EXPECT_EQ(Unwrap(wrapped), "the data key");
}

TEST_F(FileProviderTest, TellsTakenAwayFromTrouble) {
  EXPECT_EQ(Wrap().code(), Code::kNotFound);
  EXPECT_EQ(provider_->Check({}).code(), Code::kNotFound);
  files_.Write("v1", kRaw);
  auto wrapped = Wrap().value();
  files_.Write("v1", "half of a ke");
  EXPECT_EQ(Unwrap(wrapped), "Unavailable");
  files_.Remove("v1");
  EXPECT_EQ(Unwrap(wrapped), "NotFound");
  std::filesystem::remove_all(files_.path());
  EXPECT_EQ(Unwrap(wrapped), "NotFound");
}

TEST_F(FileProviderTest, ChangedBlobsAreCorrupt) {
  files_.Write("v1", kRaw);
  auto wrapped = Wrap().value();
  wrapped.ciphertext.back() ^= 1;
  EXPECT_EQ(Unwrap(wrapped), "Corrupt");
  wrapped.version = "v1";
  EXPECT_EQ(Unwrap(wrapped), "Corrupt");
}

TEST_F(FileProviderTest, AReadableKeyFileWrapsNothingNewButStillUnwraps) {
  files_.Write("v1", kRaw);
  auto wrapped = Wrap().value();
  files_.Write("v1", kRaw, 0640);
  auto refused = Wrap();
  EXPECT_EQ(refused.code(), Code::kDenied);
  EXPECT_NE(refused.error().message().find("chmod 0600"), std::string::npos);
  EXPECT_EQ(Unwrap(wrapped), "the data key");
}

// kubelet: ..data is a link to a directory that is exchanged; the names are links into it.
TEST_F(FileProviderTest, ReadsAMountedSecretThroughItsExchanges) {
  const auto mount = [&](const std::string& generation, const std::string& name,
                         const std::string& content) {
    std::filesystem::create_directory(files_.File(generation));
    files_.Write(generation + "/" + name, content, 0644);
    std::filesystem::create_symlink(generation, files_.File("..data_tmp"));
    std::filesystem::rename(files_.File("..data_tmp"), files_.File("..data"));
    std::filesystem::create_symlink("..data/" + name, files_.File(name));
  };
  mount("..2026_01", "v1", kRaw);
  auto wrapped = Wrap();
  ASSERT_TRUE(wrapped.ok()) << wrapped.error().ToString();
  EXPECT_EQ(Unwrap(*wrapped), "the data key");
  mount("..2026_02", "v2", kText);
  EXPECT_TRUE(provider_->Check({}).value().starts_with("v2#"));
  EXPECT_EQ(Unwrap(*wrapped), "NotFound");  // v1 is no longer in it, whatever link is left
}

// As kubelet does, again and again: the old files go one by one once ..data leads to the new ones.
TEST_F(FileProviderTest, NoExchangeOfAMountedSecretIsALoss) {
  constexpr int kExchanges = 300;
  constexpr int kVersions = 20;
  files_.Write("v1", kRaw);
  auto wrapped = Wrap().value();
  files_.Remove("v1");
  const auto exchange = [&](int generation) {
    const std::string made = "..2026_" + std::to_string(generation);
    std::filesystem::create_directory(files_.File(made));
    for (int i = 2; i <= kVersions; ++i) files_.Write(made + "/v" + std::to_string(i), kText, 0644);
    // Under another name each time, so that it is listed now early, now late.
    files_.Write(made + "/a" + std::to_string(generation), kRaw, 0644);
    std::filesystem::create_symlink(made, files_.File("..data_tmp"));
    std::filesystem::rename(files_.File("..data_tmp"), files_.File("..data"));
    if (generation == 0) return;
    const std::string old = "..2026_" + std::to_string(generation - 1);
    files_.Remove(old + "/a" + std::to_string(generation - 1));
    files_.Remove(old);
  };
  exchange(0);
  std::atomic<bool> done{false};
  std::thread kubelet([&] {
    for (int i = 1; i <= kExchanges; ++i) exchange(i);
    done = true;
  });
  std::map<std::string, int> answers;
  while (!done) ++answers[Unwrap(wrapped)];
  kubelet.join();
  EXPECT_GT(answers["the data key"], 0);
  answers.erase("the data key");
  answers.erase("Unavailable");
  EXPECT_TRUE(answers.empty()) << answers.begin()->first << " " << answers.begin()->second;
}

TEST_F(FileProviderTest, AFileThatMayNotBeReadIsALossOnlyWhenNoneMay) {
  const auto ask = [&](const Wrapped& wrapped) {
    std::string answer;
    std::thread([&] {  // of its own, since it gives up root's right to read everything
      setfsuid(65534);
      answer = Unwrap(wrapped);
    })
        .join();
    return answer;
  };
  chmod(files_.path().c_str(), 0755);
  files_.Write("v1", kText);
  files_.Write("v2", kRaw);
  auto wrapped = Wrap().value();
  files_.Write("v1", kText, 0644);
  files_.Write("v2", kRaw, 0);
  EXPECT_EQ(ask(wrapped), "Unavailable");
  files_.Write("v1", "torn", 0644);
  EXPECT_EQ(ask(wrapped), "Unavailable");
  files_.Write("v1", kText, 0);
  EXPECT_EQ(ask(wrapped), "Denied");
  // What may not be read may be the one that is gone.
  files_.Write("v2", kText, 0644);
  EXPECT_EQ(ask(wrapped), "Unavailable");
}

TEST_F(FileProviderTest, DirectoriesAndDotFilesAreNoKeys) {
  files_.Write("v1", kRaw);
  files_.Write(".v2", kText);
  std::filesystem::create_directory(files_.File("v3"));
  EXPECT_TRUE(provider_->Check({}).value().starts_with("v1#"));
}

TEST_F(FileProviderTest, OneEntryThatCannotBeReadTakesNoOtherAway) {
  files_.Write("v1", kRaw);
  auto wrapped = Wrap().value();
  files_.Write("v2", "no key");
  EXPECT_EQ(Unwrap(wrapped), "the data key");
  EXPECT_EQ(Wrap().code(), Code::kUnavailable);  // not with v1, since there is a newer one
  EXPECT_EQ(provider_->Check({}).code(), Code::kUnavailable);
  files_.Remove("v1");
  EXPECT_EQ(Unwrap(wrapped), "Unavailable");  // it may be v2
  files_.Write("v1", kRaw);
  files_.Remove("v2");
  std::filesystem::create_symlink("nowhere", files_.path() + "/v3");
  EXPECT_EQ(provider_->Check({}).value(), wrapped.version);
  EXPECT_EQ(Unwrap(wrapped), "the data key");
}

TEST_F(FileProviderTest, TooManyFilesAreTrouble) {
  for (size_t i = 0; i <= kKeyFilesMax; ++i) files_.Write("v" + std::to_string(i), kRaw);
  EXPECT_EQ(provider_->Check({}).code(), Code::kUnavailable);
}

TEST(OlderVersion, ComparesRunsOfDigitsAsNumbers) {
  std::vector<std::string> names = {"v10", "v9",    "v1",     "2026-10-01", "2026-9-30",
                                    "key", "key-2", "key-10", "v",          "v01"};
  std::sort(names.begin(), names.end(), OlderVersion);
  EXPECT_EQ(names, (std::vector<std::string>{"2026-9-30", "2026-10-01", "key", "key-2", "key-10",
                                             "v", "v01", "v1", "v9", "v10"}));
  EXPECT_FALSE(OlderVersion("v1", "v1"));
}

TEST(OpenProvider, NamesWhatIsWrong) {
  for (const char* uri : {"", "file://relative", "secret", "kmsv2:tcp://1.2.3.4:5", "kmsv2:unix:a",
                          "vault-transit:https://h:1/transit/keys/k"}) {
    auto provider = OpenProvider(uri);
    EXPECT_EQ(provider.code(), Code::kInvalid) << uri;
  }
}

}  // namespace
}  // namespace tarn::keys
