// The engine in memory under the suite that all engines share.
#include "server/engine/testing/conformance.h"

#include "server/engine/memory/memory_engine.h"

namespace tarn::engine::testing {
namespace {

class MemorySubject : public Subject {
 public:
  vfs::Engine& engine() override { return *engine_; }
  ManualClock& clock() override { return clock_; }
  void Restart() override { SimulateRestart(*engine_); }

 private:
  ManualClock clock_;
  std::unique_ptr<vfs::Engine> engine_ = NewMemoryEngine(clock_);
};

std::unique_ptr<Subject> NewMemorySubject() {
  return std::make_unique<MemorySubject>();
}

class LockableMemorySubject final : public MemorySubject {
 public:
  const SecretBytes* key() const override { return &key_; }

 private:
  const SecretBytes key_{std::string(vfs::kKeyBytes, 'k')};
};

std::unique_ptr<Subject> NewLockableMemorySubject() {
  return std::make_unique<LockableMemorySubject>();
}

INSTANTIATE_TEST_SUITE_P(Memory, LockConformance, ::testing::Values(&NewLockableMemorySubject));
INSTANTIATE_TEST_SUITE_P(LockableMemory, Conformance, ::testing::Values(&NewLockableMemorySubject));
INSTANTIATE_TEST_SUITE_P(Memory, Conformance, ::testing::Values(&NewMemorySubject));

}  // namespace
}  // namespace tarn::engine::testing
