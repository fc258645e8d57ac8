// The engine conformance suite: what every implementation of server/vfs/file_system.h must do, as
// one set of tests. An engine's own test program links tarn_engine_conformance and says
//
//   INSTANTIATE_TEST_SUITE_P(Local, Conformance, testing::Values(&NewLocalSubject));
//   INSTANTIATE_TEST_SUITE_P(Local, LockConformance, testing::Values(&NewEncryptedSubject));
//
// Each test gets a fresh store with one file system. After each, Check() must report nothing and
// the usage of every realm that the test made must be what a walk over its files counts.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "common/crypto/secret_bytes.h"
#include "server/vfs/file_system.h"

namespace tarn {

// How GoogleTest shows codes.
void PrintTo(Code code, std::ostream* out);

}  // namespace tarn

namespace tarn::engine::testing {

// One store under test, on a clock that the test moves.
class Subject {
 public:
  virtual ~Subject() = default;
  virtual vfs::Engine& engine() = 0;
  virtual ManualClock& clock() = 0;
  // As kill -9 and a new start on the same data: engine() is another object or the same.
  virtual void Restart() = 0;
  // The file system under test is encrypted with it, or plain.
  virtual const SecretBytes* key() const { return nullptr; }
};

using SubjectFactory = std::unique_ptr<Subject> (*)();

class Conformance : public ::testing::TestWithParam<SubjectFactory> {
 protected:
  void SetUp() override;
  void TearDown() override;

  vfs::FileSystem& fs() { return *file_system_; }
  vfs::Engine& engine() { return subject_->engine(); }
  vfs::FileId top() { return top_; }
  // Moves the clock by a second, so that times that change differ.
  void Tick() { subject_->clock().Advance(std::chrono::seconds(1)); }
  vfs::Time Now();
  void Restart();  // nobody has a file open any more
  void RestartInGrace();
  void RestartLocked();  // as RestartInGrace, but an encrypted file system stays locked

  static vfs::Caller Root(vfs::RealmId realm = vfs::kRootRealm);
  static vfs::Caller User(uint32_t uid, uint32_t gid, std::vector<uint32_t> gids = {});

  // As root in the root realm unless a caller is given; each expects success.
  vfs::FileId MakeFile(vfs::FileId directory, std::string_view name, uint32_t mode = 0644);
  vfs::FileId MakeFileAs(const vfs::Caller& caller, vfs::FileId directory, std::string_view name,
                         uint32_t mode = 0644);
  vfs::FileId MakeDirectory(vfs::FileId directory, std::string_view name, uint32_t mode = 0755);
  vfs::FileId MakeDirectoryAs(const vfs::Caller& caller, vfs::FileId directory,
                              std::string_view name, uint32_t mode = 0755);
  vfs::FileId MakeSymlink(vfs::FileId directory, std::string_view name, std::string_view target);
  vfs::FileId Chown(vfs::FileId file, uint32_t uid, uint32_t gid);
  vfs::Attributes Get(vfs::FileId file);
  void WriteText(vfs::FileId file, uint64_t offset, std::string_view text,
                 vfs::Stability stability = vfs::Stability::kFileSync);
  std::string ReadText(vfs::FileId file, uint64_t offset = 0, size_t length = 4096);

  // As root; the outcome only.
  Code CreateCode(const vfs::Caller& caller, vfs::FileId directory, std::string_view name,
                  const vfs::CreateOptions& options = {});
  Code RenameCode(const vfs::Caller& caller, vfs::FileId from, std::string_view source,
                  vfs::FileId to, std::string_view target);
  Code WriteCode(const vfs::Caller& caller, vfs::FileId file, uint64_t offset, size_t length);
  Code SetMode(const vfs::Caller& caller, vfs::FileId file, uint32_t mode);
  Code SetSize(const vfs::Caller& caller, vfs::FileId file, uint64_t size);
  std::vector<std::string> Names(vfs::FileId directory);

  vfs::RealmId MakeRealm(std::string_view path);
  vfs::FileId RootOf(vfs::RealmId realm);
  vfs::Usage UsageOf(vfs::RealmId realm);
  // Usage is asked of every realm, and compared with a walk. Not for unlinked files that are
  // pinned.
  void ExpectExactUsage();
  void ExpectSound();

  // Of the file system.
  uint32_t number() const { return number_; }
  const SecretBytes& key() const { return *subject_->key(); }

 private:
  vfs::Usage Walk(vfs::FileId directory, std::vector<vfs::FileId>& seen);
  void OpenFileSystem();

  std::unique_ptr<Subject> subject_;
  uint32_t number_ = 0;
  vfs::FileSystem* file_system_ = nullptr;
  vfs::FileId top_;
  std::vector<vfs::RealmId> realms_;
};

// What an engine that encrypts must do besides; its subjects have a key.
class LockConformance : public Conformance {};

std::span<const std::byte> BytesOf(std::string_view text);
// Text in which every place differs from its neighbours.
std::string Pattern(size_t bytes, uint32_t seed);
// Root, by the request with that number in that slot.
vfs::Caller Tagged(std::string slot, uint64_t sequence);

}  // namespace tarn::engine::testing

namespace tarn::vfs {
bool operator==(const Usage& left, const Usage& right);
void PrintTo(const Usage& usage, std::ostream* out);
}  // namespace tarn::vfs
