// Registry: which file systems there are and where their servers are (docs/programs.md, "The
// registry").
//
// It reads the operator's ConfigMap through the Kubernetes API, or a directory of the same files.
// What was read is kept: a file system that is asked for and not known is looked for again at once,
// so that a new one is usable within a second; one that is known stays usable while the source
// cannot be read. Thread-safe; a call blocks for one read of the source at most, and for kStaleWait
// when what it asks for is known.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/clock.h"
#include "common/result.h"

namespace tarn::csi {

struct RegistryEntry {
  struct MountTarget {
    std::string id;
    std::string zone;
    std::string nfs;
  };
  std::string file_system_id;
  std::string ns;
  std::string name;
  std::string control;  // address:port, or unix:/path
  std::string nfs;      // address:port
  std::vector<MountTarget> mount_targets;
};

// One key of the registry. kInvalid: no JSON, or no file system id.
Result<RegistryEntry> ParseRegistryEntry(const std::string& json);

class Registry {
 public:
  // File name to text, of everything.
  using Source = std::function<Result<std::map<std::string, std::string>>()>;

  static constexpr size_t kEntriesMax = 10'000;
  // Entries older than this are read again when they are asked for.
  static constexpr std::chrono::seconds kFresh{10};
  // Misses read the source at most this often, so that requests for what is not there cannot flood
  // the API server.
  static constexpr std::chrono::milliseconds kMissInterval{250};

  // A call that has an old answer waits this long for a newer one.
  static constexpr std::chrono::milliseconds kStaleWait{1000};

  // And one that has none, this long.
  static constexpr std::chrono::milliseconds kMissWait{10'000};

  explicit Registry(Source source, const Clock& clock = SystemClock())
      : source_(std::move(source)), clock_(clock) {}

  // kNotFound: none such; kUnavailable: none such known, and the source cannot be read.
  Result<RegistryEntry> ById(const std::string& file_system_id);
  Result<RegistryEntry> ByName(const std::string& ns, const std::string& name);

 private:
  Result<RegistryEntry> Find(const std::function<bool(const RegistryEntry&)>& matches,
                             const std::string& what);
  // Reads the source, by a thread of its own unless one does already, and waits for it. With mu_
  // held by `lock`.
  void Refresh(std::unique_lock<std::mutex>& lock, std::chrono::milliseconds wait);
  void Read();

  const Source source_;
  const Clock& clock_;
  std::mutex mu_;  // not held while the source is read
  std::condition_variable read_done_;
  std::vector<RegistryEntry> entries_;
  std::optional<Error> error_;           // of the last read
  std::chrono::nanoseconds read_at_{};   // of the last good read
  std::chrono::nanoseconds tried_at_{};  // of the last read
  bool ever_tried_ = false;
  bool reading_ = false;
  std::jthread reader_;
};

// The *.json files of a directory (a missing directory is an empty registry).
Registry::Source DirectorySource(std::string directory);

}  // namespace tarn::csi
