#include "server/daemon/memory_limit.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "server/daemon/testing/server_process.h"

namespace tarn::daemon {
namespace {

TEST(MemoryLimit, IsTheSmallerOfMachineAndCgroup) {
  TempDir directory;
  const std::string& root = directory.path();
  const uint64_t machine = MemoryLimit(root);
  EXPECT_GT(machine, uint64_t{64} << 20);
  std::ofstream(root + "/memory.max") << "max\n";
  EXPECT_EQ(MemoryLimit(root), machine);
  std::ofstream(root + "/memory.max") << (1 << 30) << "\n";
  EXPECT_EQ(MemoryLimit(root), std::min(machine, uint64_t{1} << 30));
  std::filesystem::create_directory(root + "/memory");
  std::ofstream(root + "/memory/memory.limit_in_bytes") << (1 << 20) << "\n";
  EXPECT_EQ(MemoryLimit(root), 1u << 20);
}

}  // namespace
}  // namespace tarn::daemon
