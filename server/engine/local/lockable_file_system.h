// LockableFileSystem: an encrypted file system of the local engine, over its locks. A lock is an
// orderly end of this one file system, and an unlock its start: all that was decrypted is in
// objects that go with the lock.
//
// Threads: any, but for Maintain, which is the engine's thread.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>

#include "server/engine/local/local_file_system.h"
#include "server/vfs/gated_file_system.h"

namespace tarn::local {

class LockableFileSystem {
 public:
  struct Context {
    Store& store;
    ChunkFiles& chunks;
    BlockSums& sums;
    // The last one: FileSystemContext::hurry.
    std::function<std::unique_ptr<LocalFileSystem>(uint32_t, const FileSystemRecord&,
                                                   const std::atomic<bool>&)>
        make;
    std::function<Result<void>()> count_crash;  // for what is made later
    std::function<void()> wake;                 // the engine's thread
  };
  enum class Origin {
    kNew,         // made in this run
    kOrderly,     // of an earlier run, which ended in order
    kAfterCrash,  // of one that did not
  };

  // Locked. `record`: as it is stored.
  LockableFileSystem(Context context, uint32_t number, const FileSystemRecord& record,
                     Origin origin);
  ~LockableFileSystem() { context_.store.keys().Forget(number_); }
  LockableFileSystem(const LockableFileSystem&) = delete;
  LockableFileSystem& operator=(const LockableFileSystem&) = delete;
  vfs::GatedFileSystem& gate() { return gate_; }

  // As vfs::Engine's. What it answers on a load that failed says what is wrong with the data. Lock
  // keeps nobody waiting for long: an unlock that runs, a check, a move between realms end at once.
  Result<void> Unlock(const SecretBytes& key);
  Result<void> Lock(vfs::LockReason reason);
  // Every call is kStale from now on, also Unlock. Nothing is written back.
  void Delete();

  // A round of the background work while it is unlocked. True: there is more to do at once.
  bool Maintain();
  // The engine ends: what runs comes to an end soon. Lock follows.
  void Hurry() {
    closing_.fetch_add(1);  // for good
    hurry_ = true;
  }
  // Nothing is left that the start of an unclean run has to settle.
  bool settled() const { return !strays_; }

 private:
  // What runs ends soon while it waits for mutex_, and it holds that until it counts no more: who
  // comes next must not find it still closing.
  class Hurrying {
   public:
    explicit Hurrying(LockableFileSystem& fs) : fs_(fs), lock_(fs.mutex_, std::defer_lock) {
      fs_.closing_.fetch_add(1);
      fs_.hurry_ = true;
      lock_.lock();
    }
    ~Hurrying() { fs_.closing_.fetch_sub(1); }
    Hurrying(const Hurrying&) = delete;
    Hurrying& operator=(const Hurrying&) = delete;

   private:
    LockableFileSystem& fs_;
    std::unique_lock<std::mutex> lock_;
  };

  Result<void> Load(KeysPtr keys);
  void Drop();

  const Context context_;
  const uint32_t number_;
  const FileSystemRecord record_;
  vfs::GatedFileSystem gate_;
  std::mutex mutex_;                        // one change of the lock at a time
  bool deleted_ = false;                    // guarded by mutex_
  bool lost_ = false;                       // unstable writes, by a lock; guarded by mutex_
  std::unique_ptr<LocalFileSystem> inner_;  // guarded by mutex_, and by passes of the gate
  std::atomic<bool> hurry_{false};
  std::atomic<int> closing_{0};        // calls that want it closed
  std::atomic<bool> strays_;           // chunk files of no row may be there
  std::atomic<bool> unsettled_{true};  // since it was unlocked
};

}  // namespace tarn::local
