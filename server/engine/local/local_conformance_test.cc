// The durable engine under the suite that all engines share.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "server/engine/local/local_engine.h"
#include "server/engine/local/test_directory.h"
#include "server/engine/testing/conformance.h"

namespace tarn::engine::testing {
namespace {

class LocalSubject : public Subject {
 public:
  explicit LocalSubject(unsigned hash_bits) : hash_bits_(hash_bits) { Open(); }
  ~LocalSubject() override { engine_.reset(); }

  vfs::Engine& engine() override { return *engine_; }
  ManualClock& clock() override { return clock_; }

  // What a killed process leaves: a copy of its files while it runs.
  void Restart() override {
    auto next = std::make_unique<local::TestDirectory>();
    next->CopyFrom(*directory_);
    engine_.reset();
    directory_ = std::move(next);
    Open();
  }

 private:
  void Open() {
    LocalOptions options;
    options.data_dir = directory_->path() + "/data";
    options.clock = &clock_;
    options.name_hash_bits = hash_bits_;
    options.block_cache_bytes = 8u << 20;
    options.write_buffer_bytes = 4u << 20;
    auto engine = OpenLocalEngine(options);
    if (!engine) {
      ADD_FAILURE() << engine.error().ToString();
      std::abort();
    }
    engine_ = std::move(*engine);
  }

  const unsigned hash_bits_;
  ManualClock clock_;
  std::unique_ptr<local::TestDirectory> directory_ = std::make_unique<local::TestDirectory>();
  std::unique_ptr<vfs::Engine> engine_;
};

std::unique_ptr<Subject> NewLocalSubject() {
  return std::make_unique<LocalSubject>(62);
}

// Names of large directories collide with one another.
std::unique_ptr<Subject> NewCollidingSubject() {
  return std::make_unique<LocalSubject>(12);
}

class EncryptedSubject final : public LocalSubject {
 public:
  explicit EncryptedSubject(unsigned hash_bits) : LocalSubject(hash_bits) {}
  const SecretBytes* key() const override { return &key_; }

 private:
  const SecretBytes key_{std::string(vfs::kKeyBytes, 'k')};
};

std::unique_ptr<Subject> NewEncryptedSubject() {
  return std::make_unique<EncryptedSubject>(62);
}

std::unique_ptr<Subject> NewCollidingEncryptedSubject() {
  return std::make_unique<EncryptedSubject>(12);
}

INSTANTIATE_TEST_SUITE_P(Encrypted, Conformance, ::testing::Values(&NewEncryptedSubject));
INSTANTIATE_TEST_SUITE_P(Encrypted, LockConformance, ::testing::Values(&NewEncryptedSubject));
INSTANTIATE_TEST_SUITE_P(EncryptedWithCollisions, LockConformance,
                         ::testing::Values(&NewCollidingEncryptedSubject));
INSTANTIATE_TEST_SUITE_P(Local, Conformance, ::testing::Values(&NewLocalSubject));
INSTANTIATE_TEST_SUITE_P(LocalWithCollisions, Conformance, ::testing::Values(&NewCollidingSubject));

}  // namespace
}  // namespace tarn::engine::testing
