// KeyKeeper: watches the keys of encrypted file systems. It unlocks those whose key can be had,
// locks those whose key was taken away, and wraps data keys again after a rotation.
//
// Each customer-managed key has a thread of its own, so a provider that hangs delays nobody else's
// file systems. It asks the provider whether the key is there (Check) each `check_every`, and
// unwraps each file system's data key each `unwrap_every`, or with backoff while that fails:
//   definite loss (keys::IsDefinite): the file system is locked now, kKeyTakenAway;
//   the provider has trouble: what is unlocked goes on being served, for `unavailable_max` at most
//     (0: for as long as the process lives); what is locked stays so, kKeyNotThere;
//   the data key is there: what was locked is unlocked, whatever locked it.
// A provider that hangs would keep them all waiting, one after the other: once a round has waited
// for one call's time, those that it has not asked take that as their answer. The trouble may be
// with some file systems' data keys alone, so those that had it themselves come last, and others'
// trouble locks nobody while the key's check succeeds.
//
// Threads: any. The owner is called by the keeper's threads, which hold no lock then.
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "common/clock.h"
#include "common/result.h"
#include "server/keys/key_ring.h"
#include "server/vfs/file_system.h"

namespace tarn::control {

struct KeeperOptions {
  std::chrono::seconds check_every{15};
  std::chrono::seconds unwrap_every{30};
  std::chrono::seconds unavailable_max{0};
  std::chrono::milliseconds retry_min{1000};
  std::chrono::milliseconds retry_max{15'000};
};

class KeyOwner {
 public:
  virtual ~KeyOwner() = default;
  // An error leaves it locked, and is tried again.
  virtual Result<void> UnlockFileSystem(const std::string& id, const SecretBytes& data_key) = 0;
  virtual void LockFileSystem(const std::string& id, vfs::LockReason reason) = 0;
  // The data key is wrapped anew. An error leaves the old blob, which is as good as before.
  // kAborted: the file system has another blob than `before`. It may have been deleted, and made
  // again under the same id.
  virtual Result<void> StoreRewrapped(const std::string& id, const std::string& before,
                                      const std::string& blob) = 0;
};

class KeyKeeper {
 public:
  KeyKeeper(const keys::KeyRing& ring, const Clock& clock, const KeeperOptions& options,
            KeyOwner& owner);
  // Stops its threads, and the calls that they are in.
  ~KeyKeeper();

  // A file system with its wrapped data key. `unlocked`: it was made just now.
  void Add(const std::string& id, const std::string& key, const std::string& blob, bool unlocked);
  void Remove(const std::string& id);

  void Start();
  // What is due of one key; what its thread does again and again. For tests without Start.
  void Step(const std::string& key);
  // All file systems of a key, or of all keys (""), are asked for at the next step.
  void Hurry(const std::string& key);

  // Why it is locked, for people; nullopt: it is unlocked, or not encrypted.
  std::optional<std::string> WhyLocked(const std::string& id);

  // Wraps the data key again, now. kNotFound: no encrypted file system of that id; those of the
  // provider and of the owner.
  Result<void> Rewrap(const std::string& id);

  struct KeyState {
    std::string name;
    std::string place;
    bool is_default = false;
    bool known = false;   // it has been asked at least once
    std::string version;  // as last heard
    std::string error;    // of the last check; empty: the key is there
    bool lost = false;    // the error is definite
    uint64_t checks = 0;
    uint64_t failures = 0;
    uint64_t unwraps = 0;
    uint64_t unwrap_failures = 0;
    uint64_t rewraps = 0;
    size_t file_systems = 0;
    size_t locked = 0;
    int64_t unavailable_seconds = 0;  // for how long its provider has been in trouble
  };
  std::vector<KeyState> Keys();
  // Asks the provider now. kNotFound: there is no key of that name.
  Result<KeyState> CheckNow(const std::string& key);

 private:
  using Time = Clock::Nanoseconds;
  struct Subject {
    uint64_t added = 0;     // which Add made it: an id may be used again
    uint64_t asked = 0;     // when its own answer came last, as asks_ counts
    bool troubled = false;  // and that was trouble
    std::string key;
    std::string blob;
    bool locked = true;
    bool taken_away = false;
    std::string why = "its key was not asked for yet";
    Time due{0};
    int failures = 0;
    std::optional<Time> trouble_since;
    std::string rewrap_tried;  // for this version of the key
  };
  struct Key {
    keys::KeyProvider* provider = nullptr;  // null: the server does not have it
    KeyState state;
    Time due{0};
    std::optional<Time> trouble_since;
    std::thread thread;
  };

  // One to ask for, as it was found due.
  struct Turn {
    std::string id;
    uint64_t added;
    bool troubled;
    uint64_t asked;
  };

  void Run(const std::string& key);
  void CheckKey(const std::string& name, Key& key);
  std::vector<Turn> Due(const std::string& name);
  // Null: it was removed meanwhile, whatever has its id now. Mutex held.
  Subject* Find(const Turn& turn);
  Result<SecretBytes> Unwrap(const Turn& turn, Key& key);
  void TakeOutcome(const Turn& turn, const Result<SecretBytes>& outcome);
  void TakeKey(const Turn& turn, const SecretBytes& data_key);
  void TakeLoss(const Turn& turn, const Error& error);
  // `own`: it was asked for itself.
  void TakeTrouble(const Turn& turn, const Error& error, bool own);
  void RewrapIfRotated(const std::string& id);
  Time Backoff(int failures) const;
  KeyState Snapshot(const std::string& name, const Key& key);

  const keys::KeyRing& ring_;
  const Clock& clock_;
  const KeeperOptions options_;
  KeyOwner& owner_;
  std::stop_source stop_;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::map<std::string, Key> keys_;  // all of the ring; entries never go
  std::map<std::string, Subject> subjects_;
  uint64_t adds_ = 0;
  uint64_t asks_ = 0;
};

}  // namespace tarn::control
