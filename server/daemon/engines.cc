#include "server/daemon/engines.h"

#include <spdlog/spdlog.h>

#include <filesystem>

#include "server/engine/local/local_engine.h"
#include "server/engine/memory/memory_engine.h"

namespace tarn::daemon {
namespace {

Result<std::unique_ptr<vfs::Engine>> OpenMemory(const std::string& data_dir, const Clock& clock) {
  std::error_code failed;
  std::filesystem::create_directories(data_dir, failed);  // the control socket lives there
  if (failed) return Error(Code::kIo, "cannot make it: " + failed.message());
  spdlog::warn("--engine memory: nothing outlives this process");
  return engine::NewMemoryEngine(clock);
}

}  // namespace

Result<std::unique_ptr<vfs::Engine>> OpenEngine(const std::string& name,
                                                const std::string& data_dir, uint32_t files_open,
                                                const Clock& clock) {
  if (name == "memory") return OpenMemory(data_dir, clock);
  LocalOptions options;
  options.data_dir = data_dir;
  options.clock = &clock;
  options.files_open = files_open;
  return OpenLocalEngine(options);
}

}  // namespace tarn::daemon
