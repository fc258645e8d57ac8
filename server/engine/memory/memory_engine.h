// The storage engine in memory: the second implementation that keeps the interface honest, and the
// one that tests of the layers above run on. It keeps every rule of server/vfs/file_system.h, and
// can act out a crash; nothing outlives the process.
#pragma once

#include <memory>

#include "common/clock.h"
#include "server/vfs/file_system.h"

namespace tarn::engine {

// `clock` gives the file times and must outlive the engine.
std::unique_ptr<vfs::Engine> NewMemoryEngine(const Clock& clock);

// What kill -9 and a new start would do: unstable writes that were not committed are lost, pins are
// dropped (unlinked files stay until ReleaseOrphans), the write verifier changes. FileSystem
// pointers stay valid. `engine` must come from NewMemoryEngine. Threads: no other call meanwhile
// sees a half-done restart, since each file system restarts under its lock.
void SimulateRestart(vfs::Engine& engine);

}  // namespace tarn::engine
