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

INSTANTIATE_TEST_SUITE_P(Memory, Conformance, ::testing::Values(&NewMemorySubject));

}  // namespace
}  // namespace tarn::engine::testing
