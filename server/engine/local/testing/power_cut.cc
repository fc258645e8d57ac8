#include "server/engine/local/testing/power_cut.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <random>
#include <thread>

#include "common/crypto/secret_bytes.h"
#include "server/engine/local/local_engine.h"
#include "server/engine/local/testing/power_cut_client.h"
#include "server/engine/local/testing/simulated_disk.h"

namespace tarn::local {
namespace {

using Kind = SimulatedDisk::Kind;

LocalOptions Options(SimulatedDisk& disk) {
  LocalOptions options;
  options.data_dir = "/data";
  options.disk = &disk;
  // Small, so that tables are written and compacted, and logs used again, within a short run.
  options.write_buffer_bytes = 64u << 10;
  options.block_cache_bytes = 1u << 20;
  options.reserve_bytes = 1u << 20;
  options.maintenance_interval = std::chrono::milliseconds(5);
  options.write_back_after = std::chrono::seconds(0);
  return options;
}

// A disk after a cut, and how far each client was: the steps that were answered, and those begun.
struct Cut {
  std::unique_ptr<SimulatedDisk> disk;
  std::vector<size_t> answered;
  std::vector<size_t> begun;
  uint64_t seed;
};

class Run {
 public:
  explicit Run(const PowerCutOptions& options) : options_(options) {}

  PowerCutReport Work() {
    SimulatedDisk disk(options_.seed);
    auto engine = OpenLocalEngine(Options(disk));
    if (!engine || !(*engine)->CreateFileSystem(options_.encrypted ? &key_ : nullptr))
      return Problem("the engine does not start"), report_;
    for (int i = 0; i < options_.clients; ++i) {
      clients_.push_back(
          std::make_unique<Client>(i, options_.seed * 100 + static_cast<uint64_t>(i)));
      if (auto ready = clients_.back()->Prepare(**engine); !ready) {
        return Problem("prepare: " + ready.error().ToString()), report_;
      }
    }
    disk.SetHook([&](const SimulatedDisk::Call& call) {
      if (IsMoment(call.kind)) TakeCut(disk);
      return 0;
    });
    std::vector<std::thread> threads;
    for (auto& client : clients_) {
      threads.emplace_back([&] {
        auto worked = client->Work(**engine, options_.steps);
        if (!worked) Problem("a step failed: " + worked.error().ToString());
      });
    }
    for (std::thread& thread : threads) thread.join();
    TakeCut(disk);
    disk.SetHook({});
    engine->reset();
    for (auto& client : clients_) report_.steps += client->answered();
    for (Cut& cut : cuts_) {
      Check(cut, 0);
      if (report_.problems.size() > kProblemsMax) break;
    }
    report_.cuts += cuts_.size();
    return std::move(report_);
  }

 private:
  static constexpr size_t kProblemsMax = 20;

  void Problem(const std::string& what) {
    std::lock_guard lock(mutex_);
    report_.problems.push_back("seed " + std::to_string(options_.seed) + ": " + what);
  }

  bool IsMoment(Kind kind) {
    if (kind == Kind::kSync || kind == Kind::kSyncDirectory) return true;
    if (kind == Kind::kRead || kind == Kind::kStat || kind == Kind::kList) return false;
    std::lock_guard lock(mutex_);
    return random_() % 100 < options_.between_percent;
  }

  // What was answered is asked before, and what was begun after: so both are safe to say.
  void TakeCut(const SimulatedDisk& disk) {
    Cut cut;
    for (auto& client : clients_) cut.answered.push_back(client->answered());
    {
      std::lock_guard lock(mutex_);
      cut.seed = options_.seed * 1'000'000 + ++cuts_taken_;
    }
    cut.disk = disk.CutPower(cut.seed);
    for (auto& client : clients_) cut.begun.push_back(client->begun());
    std::lock_guard lock(mutex_);
    cuts_.push_back(std::move(cut));
  }

  // `depth`: cuts during the recovery from a cut.
  void Check(Cut& cut, int depth) {
    std::string where = "cut " + std::to_string(cut.seed) + ": ";
    std::vector<std::unique_ptr<SimulatedDisk>> again;
    bool nested = depth < 2 && cut.seed % 6 == 0;
    std::atomic<uint64_t> moments{0};
    uint64_t moment = cut.seed % 13;
    if (nested) {
      cut.disk->SetHook([&](const SimulatedDisk::Call& call) {
        bool sync = call.kind == Kind::kSync || call.kind == Kind::kSyncDirectory;
        if (sync && moments++ == moment) again.push_back(cut.disk->CutPower(cut.seed + 7));
        return 0;
      });
    }
    {
      auto engine = OpenLocalEngine(Options(*cut.disk));
      if (!engine) return Problem(where + "does not open: " + engine.error().ToString());
      if (options_.encrypted) {
        auto unlocked = (*engine)->Unlock(1, key_);
        if (!unlocked) return Problem(where + "stays locked: " + unlocked.error().ToString());
      }
      if (nested) cut.disk->SetHook({});
      for (size_t i = 0; i < clients_.size(); ++i) {
        for (const std::string& line :
             clients_[i]->Check(**engine, cut.answered[i], cut.begun[i])) {
          Problem(where + line);
        }
      }
      auto fs = (*engine)->GetFileSystem(1);
      if (!fs) return Problem(where + "the file system is gone");
      (void)(*fs)->ReleaseOrphans();
      auto found = (*fs)->Check(
          [&](std::string_view line) { Problem(where + "fsck: " + std::string(line)); });
      if (!found) Problem(where + "fsck: " + found.error().ToString());
      if (auto works = clients_[0]->StillWorks(**engine); !works) {
        Problem(where + "afterwards: " + works.error().ToString());
      }
    }
    cut.disk.reset();
    for (auto& disk : again) {
      Cut next{std::move(disk), cut.answered, cut.begun, cut.seed + 7};
      ++report_.cuts;
      Check(next, depth + 1);
    }
  }

  const PowerCutOptions options_;
  const SecretBytes key_{std::string(vfs::kKeyBytes, 'k')};
  std::vector<std::unique_ptr<Client>> clients_;
  std::mutex mutex_;
  std::mt19937_64 random_{options_.seed};  // guarded by mutex_, as is all that follows
  uint64_t cuts_taken_ = 0;
  std::vector<Cut> cuts_;
  PowerCutReport report_;
};

}  // namespace

PowerCutReport CutPowerEverywhere(const PowerCutOptions& options) {
  return Run(options).Work();
}

}  // namespace tarn::local
