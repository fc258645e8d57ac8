// How much memory this process may use.
#pragma once

#include <cstdint>
#include <string>

namespace tarn::daemon {

// Bytes: the machine's, or the container's if its cgroup (version 1 or 2, as mounted in it at
// `cgroups`) allows less.
uint64_t MemoryLimit(const std::string& cgroups = "/sys/fs/cgroup");

}  // namespace tarn::daemon
