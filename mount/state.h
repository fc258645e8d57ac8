// State: the directory that mounts and the one `mount.tarn --watch` share: a record for each
// carriage, and locks. Mode 0700; it belongs in memory (/run), as the mounts do.
//
// The locks are flock(2)'s: they end with the process that holds them. Threads: one at a time.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/result.h"
#include "mount/carriage.h"

namespace tarn::mount {

class State {
 public:
  // A lock, as long as it lives.
  class Hold {
   public:
    explicit Hold(int fd) : fd_(fd) {}
    Hold(Hold&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Hold& operator=(Hold&&) = delete;
    ~Hold();

   private:
    int fd_;
  };

  // Makes the directory when it is not there. kInternal says what is wrong with it.
  static Result<State> Open(const std::string& directory);

  // While one makes mounts, nobody closes a carriage. Waits for TryToClose's holder.
  Result<Hold> Share() const;
  // nullopt: somebody makes mounts.
  std::optional<Hold> TryToClose() const;
  // nullopt: somebody watches.
  std::optional<Hold> TryToWatch() const;

  // Without an address it does not replace a record that has one.
  Result<void> Write(const Carriage& carriage) const;
  // What is no JSON is logged and removed; what cannot be read now, or is another version's, is
  // logged and stays. `unread`: whether something could not be read now.
  std::vector<Carriage> ReadAll(bool* unread = nullptr) const;
  void Remove(const Carriage& carriage) const;

 private:
  explicit State(std::string directory) : directory_(std::move(directory)) {}
  std::string PathOf(const Carriage& carriage) const;
  Result<Hold> Lock(const char* name, int operation) const;
  void WarnOnce(const std::string& what) const;

  std::string directory_;
  mutable std::set<std::string> warned_;
};

}  // namespace tarn::mount
