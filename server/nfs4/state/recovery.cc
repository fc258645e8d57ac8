#include "server/nfs4/state/recovery.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <random>

#include "common/log.h"
#include "common/text.h"

namespace tarn::nfs4 {
namespace {

constexpr std::string_view kEpoch = "nfs/epoch";
constexpr std::string_view kHandleKey = "nfs/handle-key";
constexpr std::string_view kServerId = "nfs/server-id";
constexpr std::string_view kClients = "nfs/client/";

void Unrecorded(Client& client) {
  client.recorded = false;
  client.recorded_facts = 0;
}

std::string RandomBytes(size_t size) {
  std::random_device source;
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(source());
  return bytes;
}

// A client's record: "open", and a word for each further fact.
struct Fact {
  uint32_t bit;
  std::string_view word;
};
constexpr Fact kFacts[] = {
    {kHeldDeny, "deny"}, {kHeldLocks, "locks"}, {kHeldDelegations, "delegations"}};

std::string ToRecord(uint32_t facts) {
  std::string record = "open";
  for (const Fact& fact : kFacts) {
    if ((facts & fact.bit) != 0) record.append(" ").append(fact.word);
  }
  return record;
}

uint32_t FromRecord(std::string_view record) {
  uint32_t facts = 0;
  for (const Fact& fact : kFacts) {
    if (record.find(fact.word) != std::string_view::npos) facts |= fact.bit;
  }
  return facts;
}

// The record, made from `fresh` the first time.
Result<std::string> GetOrMake(vfs::RecordStore& records, std::string_view key, size_t size,
                              std::string fresh) {
  TRY(auto found, records.Get(key));
  if (found) {
    if (found->size() == size) return *std::move(found);
    return Error(Code::kCorrupt, "record " + std::string(key) + " has an impossible size");
  }
  TRY(records.Put(key, fresh));
  return fresh;
}

}  // namespace

Result<std::unique_ptr<Recovery>> Recovery::Start(vfs::RecordStore& records, const Clock& clock,
                                                  std::chrono::seconds lease) {
  std::unique_ptr<Recovery> made(new Recovery(records, clock));
  TRY(made->Load(lease));
  return made;
}

Result<void> Recovery::Load(std::chrono::seconds lease) {
  TRY(auto last, records_.Get(kEpoch));
  if (last) {
    const std::string& text = *last;
    std::from_chars(text.data(), text.data() + text.size(), epoch_);
  }
  ++epoch_;
  if (epoch_ == 0 || epoch_ == UINT32_MAX) epoch_ = 1;  // those two are in special stateids
  TRY(records_.Put(kEpoch, std::to_string(epoch_)));
  TRY(std::string key, GetOrMake(records_, kHandleKey, handle_key_.size(), RandomBytes(16)));
  std::memcpy(handle_key_.data(), key.data(), handle_key_.size());
  TRY(server_id_, GetOrMake(records_, kServerId, 32, Hex(RandomBytes(16))));
  TRY(records_.Scan(kClients, [this](std::string_view record, std::string_view value) {
    before_.emplace(record.substr(kClients.size()), Before{.facts = FromRecord(value)});
    return true;
  }));
  TRY(LoadSessions());
  grace_ = !before_.empty();
  grace_ends_ = clock_.Monotonic() + lease;
  grace_ends_at_last_ = grace_ends_ + lease;
  if (grace_) {
    spdlog::info("nfs: grace period of {} s for {} clients", lease.count(), before_.size());
  }
  return Ok();
}

bool Recovery::MayReclaim(const std::string& client_key) {
  if (!InGrace()) return false;
  std::lock_guard lock(mutex_);
  return before_.contains(client_key);
}

void Recovery::Returned(const std::string& client_key) {
  std::lock_guard lock(mutex_);
  auto found = before_.find(client_key);
  if (found != before_.end()) found->second.returned = true;
}

void Recovery::ReclaimComplete(const std::string& client_key) {
  std::lock_guard lock(mutex_);
  auto found = before_.find(client_key);
  if (found != before_.end()) found->second.returned = found->second.complete = true;
}

bool Recovery::GraceTimeIsOver() const {
  auto ends = std::max(grace_ends_, reclaimed_.load(std::memory_order_relaxed) + kBetweenReclaims);
  return clock_.Monotonic() >= std::min(ends, grace_ends_at_last_);
}

bool Recovery::EndGraceIfDue() {
  if (!InGrace()) return !end_told_.load() && !end_told_.exchange(true);
  std::lock_guard lock(mutex_);
  bool all = std::all_of(before_.begin(), before_.end(),
                         [](const auto& one) { return one.second.complete; });
  if (!grace_ || (!all && !GraceTimeIsOver())) return false;
  // The records of those who did not come back go first: were they still there after a crash, their
  // owners could reclaim what others got since. With the lock held, so that none of them is made
  // again meanwhile; it is once in a run.
  for (auto at = before_.begin(); at != before_.end();) {
    if (at->second.returned) {
      ++at;
      continue;
    }
    auto deleted = records_.Delete(std::string(kClients) + at->first);
    if (!deleted.ok()) {
      spdlog::error("nfs: grace goes on, since a client's record cannot be deleted: {}",
                    deleted.error().ToString());
      return false;
    }
    dropped_.insert(at->first);
    at = before_.erase(at);
  }
  before_.clear();
  end_told_ = true;
  grace_.store(false, std::memory_order_release);
  spdlog::info("nfs: grace period over, {} clients did not come back", dropped_.size());
  return true;
}

bool Recovery::MayBeHeld(uint32_t facts) {
  std::lock_guard lock(mutex_);
  return std::any_of(before_.begin(), before_.end(),
                     [facts](const auto& one) { return (one.second.facts & facts) != 0; });
}

Result<void> Recovery::Record(Client& client, uint32_t facts) {
  std::lock_guard lock(client.record_mutex);
  if (WasDropped(client.key)) Unrecorded(client);
  if (client.recorded && (facts & ~client.recorded_facts) == 0) return Ok();
  std::string key = std::string(kClients) + client.key;
  if (client.recorded) {
    // That of the last run may say more than we know of this one.
    TRY(auto last, records_.Get(key));
    if (last) facts |= FromRecord(*last);
  }
  facts |= client.recorded_facts;
  TRY(records_.Put(key, ToRecord(facts)));
  client.recorded = true;
  client.recorded_facts = facts;
  return Ok();
}

// Once for each: did the end of grace delete the record of this client, which had come back but
// reclaimed nothing?
bool Recovery::WasDropped(const std::string& client_key) {
  std::lock_guard lock(mutex_);
  return dropped_.erase(client_key) > 0;
}

void Recovery::Forget(Client& client) {
  std::lock_guard lock(client.record_mutex);
  if (!client.recorded) return;
  Delete(client.key);
  Unrecorded(client);
}

void Recovery::ForgetIfIdle(Client& client, std::chrono::nanoseconds before) {
  std::lock_guard lock(client.record_mutex);
  if (!client.recorded) return;
  {
    std::lock_guard states(client.mutex);
    if (!client.states.empty() || client.idle_since > before) return;
  }
  Delete(client.key);
  Unrecorded(client);
}

void Recovery::Delete(const std::string& client_key) {
  auto deleted = records_.Delete(std::string(kClients) + client_key);
  if (!deleted.ok()) {
    spdlog::error("nfs: cannot delete a client's record: {}", deleted.error().ToString());
  }
}

}  // namespace tarn::nfs4
