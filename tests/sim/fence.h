// The engine of a server that may die at any moment, in the middle of a request too.
//
// A server that is killed in this process still runs its destructors and the rest of the request
// that it dies in. A fence between it and the engine keeps all of that from the engine: once it is
// dead, every call fails and changes nothing. Threads: one.
#pragma once

#include <memory>

#include "server/vfs/file_system.h"

namespace tarn::sim {

class Fence {
 public:
  // Dies when so many changes have begun or ended from now on; 0 not at all.
  void DieAfter(uint32_t steps) { left_ = steps; }
  void Die() { dead_ = true; }
  bool dead() const { return dead_; }
  // Around every change; false: it is dead.
  bool Step() {
    if (!dead_ && left_ > 0 && --left_ == 0) dead_ = true;
    return !dead_;
  }

 private:
  bool dead_ = false;
  uint32_t left_ = 0;
};

// Both must not outlive what they are over.
std::unique_ptr<vfs::FileSystem> Fenced(vfs::FileSystem& over, Fence& fence);
std::unique_ptr<vfs::RecordStore> Fenced(vfs::RecordStore& over, Fence& fence);

}  // namespace tarn::sim
