// The server under test and the machine that it runs on: the real nfs4::Server over a real engine,
// killed and started again.
//
// Threads: one. The RPC layer is left out: a request is the bytes of its COMPOUND.
#pragma once

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/clock.h"
#include "server/engine/local/testing/simulated_disk.h"
#include "server/nfs4/server.h"
#include "tests/sim/faults.h"
#include "tests/sim/fence.h"
#include "tests/sim/model.h"
#include "tests/sim/random.h"

namespace tarn::sim {

enum class EngineKind { kMemory, kLocal };

// How a server dies. The memory engine knows only the first.
enum class Death {
  kKill,      // the process ends, its machine goes on
  kPowerCut,  // what was not synced may be gone, or a part of it
};

// When it is to die in the middle of something. 0: not at all.
struct DieIn {
  Death how = Death::kKill;
  uint32_t changes = 0;     // as Fence::DieAfter
  uint32_t disk_calls = 0;  // of the local engine: at the so manieth that changes something
};

class Exported;  // the table of exports, of one file system

class Host {
 public:
  // `random` decides what a cut of power leaves.
  Host(EngineKind kind, ManualClock& clock, Random& random);
  ~Host();
  bool up() const { return server_ != nullptr; }
  uint32_t run() const { return run_; }  // counts the starts
  bool InGrace() const { return server_->InGrace(); }
  // Empty: it serves. Else what is wrong, and it can be tried again when the disk failed in it.
  std::string Start();
  // What is in memory is lost. Nothing to do when it is dead already.
  void Kill(Death how);
  // Was the power cut when it died last?
  bool lost_power() const { return lost_power_; }
  // Had its disk failed any call of that run, or of a start in vain since then?
  bool disk_failed() const { return disk_failed_; }
  // Of the local engine's disk, from now on.
  void SetFaults(const Faults& faults);
  const Faults& faults() const { return faults_; }
  // How many calls of the disk have failed.
  uint64_t failed_calls() const { return failed_calls_; }
  // As long as one lives the disk is well.
  class Calm {
   public:
    explicit Calm(Host& host) : host_(host) { ++host_.calm_; }
    ~Calm() { --host_.calm_; }
    Calm(const Calm&) = delete;
    Calm& operator=(const Calm&) = delete;

   private:
    Host& host_;
  };

  // What the server and the engine do from time to time. True: it died in it.
  bool Tick(const DieIn& die);

  struct Execution {
    bool died = false;  // in the middle of it; the reply is void
    std::vector<std::byte> reply;
  };
  Execution Execute(const Request& request, uint64_t connection, const DieIn& die);
  Fh RootHandle() const;
  // The file that a handle names; only for handles that the server gave.
  vfs::FileId FileOf(const Fh& handle) const;
  // The engine itself, past the fence.
  vfs::FileSystem& files() { return *files_; }

 private:
  std::string OpenEngine();
  std::string StartServer();
  void Arm(const DieIn& die);
  bool Disarm();
  int OnDiskCall(const local::SimulatedDisk::Call& call);
  void Leave(Death how);
  int Fault(const local::SimulatedDisk::Call& call);

  const EngineKind kind_;
  ManualClock& clock_;
  Random& random_;
  std::unique_ptr<local::SimulatedDisk> disk_;
  // What the death left; the old disk goes on until the dead process has ended.
  std::unique_ptr<local::SimulatedDisk> left_;
  DieIn die_;
  Faults faults_;
  Random fault_random_;
  uint64_t failed_calls_ = 0;
  uint64_t failed_before_ = 0;  // of those, before this run
  bool disk_failed_ = false;
  uint32_t calm_ = 0;
  bool lost_power_ = false;
  // The database has threads of its own, whose calls are not counted and do not fail: they come
  // when they like.
  const std::thread::id thread_ = std::this_thread::get_id();
  std::unique_ptr<vfs::Engine> engine_;
  uint32_t number_ = 0;
  vfs::FileSystem* files_ = nullptr;
  std::unique_ptr<Fence> fence_;
  std::unique_ptr<vfs::FileSystem> fenced_files_;
  std::unique_ptr<vfs::RecordStore> fenced_records_;
  std::unique_ptr<Exported> exports_;
  std::unique_ptr<nfs4::Server> server_;
  uint32_t run_ = 0;
};

}  // namespace tarn::sim
