#include "server/daemon/memory_limit.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>

namespace tarn::daemon {

uint64_t MemoryLimit(const std::string& cgroups) {
  uint64_t limit = static_cast<uint64_t>(std::max(0L, sysconf(_SC_PHYS_PAGES))) *
                   static_cast<uint64_t>(std::max(0L, sysconf(_SC_PAGESIZE)));
  for (const char* file : {"/memory.max", "/memory/memory.limit_in_bytes"}) {
    std::ifstream in(cgroups + file);
    uint64_t bytes = 0;
    if (in >> bytes) limit = std::min(limit, bytes);  // "max" is no number
  }
  return limit;
}

}  // namespace tarn::daemon
