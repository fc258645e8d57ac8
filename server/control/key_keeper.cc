#include "server/control/key_keeper.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <tuple>

#include "server/keys/data_key.h"

namespace tarn::control {
namespace {

// How long a key's thread sleeps at most before it looks what is due.
constexpr std::chrono::milliseconds kNap{250};

Error NoSuchKey(const std::string& key) {
  return Error(Code::kNotFound,
               "the server has no key '" + key + "': start it with --key " + key + "=URI");
}

}  // namespace

KeyKeeper::KeyKeeper(const keys::KeyRing& ring, const Clock& clock, const KeeperOptions& options,
                     KeyOwner& owner)
    : ring_(ring), clock_(clock), options_(options), owner_(owner) {
  for (const auto& [name, provider] : ring_.providers()) {
    Key& key = keys_[name];
    key.provider = provider.get();
    key.state.name = name;
    key.state.place = provider->Place();
    key.state.is_default = name == ring_.default_name();
  }
}

KeyKeeper::~KeyKeeper() {
  {
    std::lock_guard lock(mutex_);
    stop_.request_stop();
    wake_.notify_all();
  }
  for (auto& [name, key] : keys_) {
    if (key.thread.joinable()) key.thread.join();
  }
}

void KeyKeeper::Start() {
  for (auto& [name, key] : keys_) {
    key.thread = std::thread([this, name = name] { Run(name); });
  }
}

void KeyKeeper::Run(const std::string& key) {
  while (!stop_.stop_requested()) {
    Step(key);
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, kNap, [this] { return stop_.stop_requested(); });
  }
}

void KeyKeeper::Add(const std::string& id, const std::string& key, const std::string& blob,
                    bool unlocked) {
  std::lock_guard lock(mutex_);
  Subject& subject = subjects_[id];
  subject = Subject();
  subject.added = ++adds_;
  subject.key = key;
  subject.blob = blob;
  subject.locked = !unlocked;
  subject.due = clock_.Monotonic() + (unlocked ? Time(options_.unwrap_every) : Time(0));
  if (keys_.contains(key)) return;
  subject.why = NoSuchKey(key).message();
  spdlog::error("file system {} stays locked: {}", id, subject.why);
}

void KeyKeeper::Remove(const std::string& id) {
  std::lock_guard lock(mutex_);
  subjects_.erase(id);
}

void KeyKeeper::Hurry(const std::string& key) {
  std::lock_guard lock(mutex_);
  for (auto& [name, state] : keys_) {
    if (key.empty() || key == name) state.due = Time(0);
  }
  for (auto& [id, subject] : subjects_) {
    if (key.empty() || key == subject.key) subject.due = Time(0);
  }
}

std::optional<std::string> KeyKeeper::WhyLocked(const std::string& id) {
  std::lock_guard lock(mutex_);
  const auto found = subjects_.find(id);
  if (found == subjects_.end() || !found->second.locked) return std::nullopt;
  return "locked: " + found->second.why;
}

KeyKeeper::Time KeyKeeper::Backoff(int failures) const {
  Time wait = options_.retry_min;
  for (int i = 1; i < failures && wait < options_.retry_max; ++i) wait *= 2;
  return std::min(wait, Time(options_.retry_max));
}

void KeyKeeper::Step(const std::string& name) {
  Key& key = keys_.at(name);
  bool check = false;
  {
    std::lock_guard lock(mutex_);
    check = clock_.Monotonic() >= key.due;
  }
  if (check) CheckKey(name, key);
  std::optional<Error> trouble;
  Time waited{0};  // for calls that came to nothing
  for (const Turn& turn : Due(name)) {
    if (stop_.stop_requested()) return;
    if (trouble && waited >= Time(keys::kCallTimeout)) {
      TakeTrouble(turn, *trouble, /*own=*/false);
      continue;
    }
    const Time begun = clock_.Monotonic();
    auto outcome = Unwrap(turn, key);
    if (stop_.stop_requested() && !outcome.ok()) return;
    if (outcome.code() == Code::kUnavailable) {
      trouble = outcome.error();
      waited += clock_.Monotonic() - begun;
    }
    TakeOutcome(turn, outcome);
    if (outcome.ok()) RewrapIfRotated(turn.id);
  }
}

void KeyKeeper::CheckKey(const std::string& name, Key& key) {
  auto version = key.provider->Check({.timeout = keys::kCallTimeout, .stop = stop_.get_token()});
  if (stop_.stop_requested() && !version.ok()) return;
  std::lock_guard lock(mutex_);
  KeyState& state = key.state;
  ++state.checks;
  key.due = clock_.Monotonic() + options_.check_every;
  const std::string error = version.ok() ? "" : version.error().ToString();
  if (version.ok()) {
    if (!state.version.empty() && state.version != *version) {
      spdlog::info("key {}: rotated, version {} now", name, *version);
    }
    if (!state.error.empty()) spdlog::info("key {}: is there again", name);
    state.version = *version;
    key.trouble_since.reset();
  } else {
    ++state.failures;
    if (state.error.empty()) spdlog::warn("key {}: check failed: {}", name, error);
    if (!key.trouble_since) key.trouble_since = clock_.Monotonic();
    // What it means for each file system, unwrapping tells: now.
    for (auto& [id, subject] : subjects_) {
      if (subject.key == name && state.error.empty()) subject.due = Time(0);
    }
  }
  state.error = error;
  state.lost = !version.ok() && keys::IsDefinite(version.code());
  state.known = true;
}

std::vector<KeyKeeper::Turn> KeyKeeper::Due(const std::string& name) {
  std::vector<Turn> due;
  {
    std::lock_guard lock(mutex_);
    const Time now = clock_.Monotonic();
    for (const auto& [id, subject] : subjects_) {
      if (subject.key == name && now >= subject.due) {
        due.push_back({id, subject.added, subject.troubled, subject.asked});
      }
    }
  }
  std::stable_sort(due.begin(), due.end(), [](const Turn& a, const Turn& b) {
    return std::tie(a.troubled, a.asked) < std::tie(b.troubled, b.asked);
  });
  return due;
}

KeyKeeper::Subject* KeyKeeper::Find(const Turn& turn) {
  const auto found = subjects_.find(turn.id);
  if (found == subjects_.end() || found->second.added != turn.added) return nullptr;
  return &found->second;
}

Result<SecretBytes> KeyKeeper::Unwrap(const Turn& turn, Key& key) {
  std::string blob;
  {
    std::lock_guard lock(mutex_);
    Subject* subject = Find(turn);
    if (subject == nullptr) return Error(Code::kAborted, "deleted meanwhile");
    subject->asked = ++asks_;
    blob = subject->blob;
  }
  auto data_key = keys::UnwrapDataKey(*key.provider, turn.id, blob,
                                      {.timeout = keys::kCallTimeout, .stop = stop_.get_token()});
  std::lock_guard lock(mutex_);
  ++key.state.unwraps;
  if (!data_key.ok()) ++key.state.unwrap_failures;
  return data_key;
}

void KeyKeeper::TakeOutcome(const Turn& turn, const Result<SecretBytes>& outcome) {
  if (outcome.ok()) return TakeKey(turn, *outcome);
  if (keys::IsDefinite(outcome.code())) return TakeLoss(turn, outcome.error());
  TakeTrouble(turn, outcome.error(), /*own=*/true);
}

void KeyKeeper::TakeKey(const Turn& turn, const SecretBytes& data_key) {
  bool locked = false;
  {
    std::lock_guard lock(mutex_);
    Subject* subject = Find(turn);
    if (subject == nullptr) return;
    locked = subject->locked;
  }
  auto unlocked = locked ? owner_.UnlockFileSystem(turn.id, data_key) : Ok();
  std::lock_guard lock(mutex_);
  Subject* found = Find(turn);
  if (found == nullptr) return;
  Subject& subject = *found;
  subject.troubled = false;
  if (!unlocked.ok()) {
    const std::string why = unlocked.error().ToString();
    if (subject.why != why) spdlog::error("file system {} cannot be unlocked: {}", turn.id, why);
    subject.why = why;
    subject.due = clock_.Monotonic() + Backoff(++subject.failures);
    return;
  }
  if (locked) {
    spdlog::info("file system {} is unlocked with key {}", turn.id, subject.key);
  } else if (subject.trouble_since) {
    spdlog::info("file system {}: its key {} can be had again", turn.id, subject.key);
  }
  subject.locked = subject.taken_away = false;
  subject.why.clear();
  subject.failures = 0;
  subject.trouble_since.reset();
  subject.due = clock_.Monotonic() + options_.unwrap_every;
}

void KeyKeeper::TakeLoss(const Turn& turn, const Error& error) {
  bool lock_it = false;
  {
    std::lock_guard lock(mutex_);
    Subject* found = Find(turn);
    if (found == nullptr) return;
    Subject& subject = *found;
    subject.due = clock_.Monotonic() + Backoff(++subject.failures);
    subject.troubled = false;
    subject.why = "its key '" + subject.key + "' was taken away: " + error.ToString();
    lock_it = !subject.taken_away;
    subject.locked = subject.taken_away = true;
    subject.trouble_since.reset();
    if (lock_it) spdlog::error("file system {} is locked: {}", turn.id, subject.why);
  }
  if (lock_it) owner_.LockFileSystem(turn.id, vfs::LockReason::kKeyTakenAway);
}

void KeyKeeper::TakeTrouble(const Turn& turn, const Error& error, bool own) {
  bool lock_it = false;
  {
    std::lock_guard lock(mutex_);
    Subject* found = Find(turn);
    if (found == nullptr) return;
    Subject& subject = *found;
    const Time now = clock_.Monotonic();
    subject.due = now + (own ? Backoff(++subject.failures) : Time(options_.retry_min));
    subject.troubled = subject.troubled || own;
    if (subject.taken_away) return;  // this says nothing of the key: it stays as it was
    const bool begins = !subject.trouble_since;
    if (begins) subject.trouble_since = now;
    const std::string why = "its key '" + subject.key + "' cannot be had: " + error.ToString();
    if (subject.locked) {
      if (begins) spdlog::warn("file system {} stays locked: {}", turn.id, why);
      subject.why = why;
      return;
    }
    if (begins) spdlog::warn("file system {} is served on, but {}", turn.id, why);
    const Time max = options_.unavailable_max;
    // Others' trouble may be of their data keys alone, unless the check fails, too.
    const bool counts = own || !keys_.at(subject.key).state.error.empty();
    lock_it = counts && max > Time(0) && now - *subject.trouble_since >= max;
    if (lock_it) {
      subject.locked = true;
      subject.why = why;
      spdlog::error("file system {} is locked after {} s without its key: {}", turn.id,
                    options_.unavailable_max.count(), why);
    }
  }
  if (lock_it) owner_.LockFileSystem(turn.id, vfs::LockReason::kKeyNotThere);
}

void KeyKeeper::RewrapIfRotated(const std::string& id) {
  {
    std::lock_guard lock(mutex_);
    const auto found = subjects_.find(id);
    if (found == subjects_.end() || found->second.locked) return;
    Subject& subject = found->second;
    const std::string& newest = keys_.at(subject.key).state.version;
    auto version = keys::VersionOfBlob(subject.blob);
    if (newest.empty() || (version.ok() && *version == newest)) return;
    // Once a version: a provider that names versions otherwise here and there is not asked for
    // ever.
    if (subject.rewrap_tried == newest) return;
    subject.rewrap_tried = newest;
  }
  auto done = Rewrap(id);
  if (done.ok()) return;
  spdlog::warn("file system {}: its data key is not wrapped by the new version yet: {}", id,
               done.error().ToString());
  std::lock_guard lock(mutex_);
  const auto found = subjects_.find(id);
  if (found != subjects_.end()) found->second.rewrap_tried.clear();
}

Result<void> KeyKeeper::Rewrap(const std::string& id) {
  std::string name;
  std::string blob;
  {
    std::lock_guard lock(mutex_);
    const auto found = subjects_.find(id);
    if (found == subjects_.end()) {
      return Error(Code::kNotFound, "file system '" + id + "' is not encrypted");
    }
    name = found->second.key;
    blob = found->second.blob;
    if (!keys_.contains(name)) return NoSuchKey(name);
  }
  Key& key = keys_.at(name);
  const keys::Call call{.timeout = keys::kCallTimeout, .stop = stop_.get_token()};
  TRY(std::string again, keys::RewrapDataKey(*key.provider, blob, call));
  // The old blob is given up only for one that was seen to work.
  TRY(SecretBytes before, keys::UnwrapDataKey(*key.provider, id, blob, call));
  TRY(SecretBytes after, keys::UnwrapDataKey(*key.provider, id, again, call));
  if (!before.Equals(after.view())) {
    return Error(Code::kCorrupt, "wrapped again, the data key of file system " + id +
                                     " is another one: the old blob is kept");
  }
  TRY(std::string version, keys::VersionOfBlob(again));
  TRY(owner_.StoreRewrapped(id, blob, again));
  std::lock_guard lock(mutex_);
  ++key.state.rewraps;
  const auto found = subjects_.find(id);
  if (found != subjects_.end() && found->second.blob == blob) found->second.blob = again;
  spdlog::info("file system {}: its data key is wrapped by version {} of key {} now", id, version,
               name);
  return Ok();
}

KeyKeeper::KeyState KeyKeeper::Snapshot(const std::string& name, const Key& key) {
  KeyState state = key.state;
  std::optional<Time> since = key.trouble_since;
  for (const auto& [id, subject] : subjects_) {
    if (subject.key != name) continue;
    ++state.file_systems;
    if (subject.locked) ++state.locked;
    if (subject.trouble_since && (!since || *subject.trouble_since < *since)) {
      since = subject.trouble_since;
    }
  }
  if (since) {
    state.unavailable_seconds =
        std::chrono::duration_cast<std::chrono::seconds>(clock_.Monotonic() - *since).count();
  }
  return state;
}

std::vector<KeyKeeper::KeyState> KeyKeeper::Keys() {
  std::vector<KeyState> all;
  std::lock_guard lock(mutex_);
  for (const auto& [name, key] : keys_) all.push_back(Snapshot(name, key));
  return all;
}

Result<KeyKeeper::KeyState> KeyKeeper::CheckNow(const std::string& name) {
  const auto found = keys_.find(name);
  if (found == keys_.end()) return NoSuchKey(name);
  CheckKey(name, found->second);
  Hurry(name);
  std::lock_guard lock(mutex_);
  return Snapshot(name, found->second);
}

}  // namespace tarn::control
