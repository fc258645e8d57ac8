// What of a change of attributes a cut of power leaves.
#include <gtest/gtest.h>

#include "server/engine/local/local_engine.h"
#include "server/engine/local/testing/simulated_disk.h"

namespace tarn::local {
namespace {

using namespace vfs;  // NOLINT(google-build-using-namespace)

const Caller kRoot{.uid = 0, .gid = 0, .gids = {}, .replay = {}};

std::unique_ptr<Engine> OpenOn(SimulatedDisk& disk) {
  LocalOptions options;
  options.data_dir = "/data";
  options.disk = &disk;
  options.own_thread = false;
  return OpenLocalEngine(options).value();
}

// Found by the simulation: SETATTR with the size that the file had by an unstable write was
// answered, and the file was as short as before after a cut of power.
TEST(LocalAttributes, ASizeThatIsSetIsStableThoughAnUnstableWriteMadeIt) {
  SimulatedDisk disk;
  auto engine = OpenOn(disk);
  FileSystem* fs = engine->GetFileSystem(engine->CreateFileSystem().value()).value();
  FileId top = fs->RealmRoot(kRootRealm).value();
  FileId file = fs->Create(kRoot, top, "a", {}).value().attributes.id;
  std::string text = "unsafe";
  auto bytes = std::as_bytes(std::span(text));
  ASSERT_TRUE(fs->Write(kRoot, file, false, 0, bytes, Stability::kUnstable).ok());
  AttributeChange change;
  change.size = text.size();
  ASSERT_TRUE(fs->SetAttributes(kRoot, file, change).ok());
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    auto left = disk.CutPower(seed);
    auto again = OpenOn(*left);
    auto found = again->GetFileSystem(1).value()->GetAttributes(kRoot, file);
    ASSERT_TRUE(found.ok());
    EXPECT_EQ(found->size, text.size()) << "cut " << seed;
  }
}

}  // namespace
}  // namespace tarn::local
