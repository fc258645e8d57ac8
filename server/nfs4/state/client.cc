#include "server/nfs4/state/client.h"

#include "server/nfs4/state/file_state.h"
#include "server/nfs4/state/stateid.h"

namespace tarn::nfs4 {
namespace {

// Null: it has all that it may have.
template <typename Owner>
std::shared_ptr<Owner> AddOwner(Client& client,
                                std::map<std::string, std::shared_ptr<Owner>, std::less<>>& owners,
                                std::string_view name) {
  if (owners.size() >= Client::kStatesMax) return nullptr;
  auto owner = std::make_shared<Owner>(client, std::string(name));
  if (!owner->holding.Take(kOwnerBytes + 2 * name.size())) return nullptr;
  owners.emplace(name, owner);
  return owner;
}

}  // namespace

OpenOwner::OpenOwner(Client& of, std::string bytes)
    : client(of), name(std::move(bytes)), holding(of.account) {}

LockOwner::LockOwner(Client& of, std::string bytes)
    : client(of), name(std::move(bytes)), holding(of.account) {}

Client::Client(clientid4 client_id, bool with_sessions, std::string owner_key, Principal who,
               const Clock& clock, TenantPtr tenant, bool returns)
    : id(client_id),
      sessions_used(with_sessions),
      key(std::move(owner_key)),
      minor(ClientKey::Parse(key).minor),
      identity(ClientKey::Parse(key).identity),
      principal(who),
      account(std::move(tenant), returns),
      callbacks(std::make_shared<Callbacks>(clock)) {}

bool Client::Add(const std::shared_ptr<State>& state) {
  std::lock_guard lock(mutex);
  bool is_open = state->kind == State::Kind::kOpen;
  bool full = states.size() >= kStatesMax || (is_open && opens >= FileTable::kOpensPerClientMax);
  if (dead || full || !state->holding.Take(kStateBytes)) return false;
  constexpr uint32_t kMask = (1U << kStateNumberBits) - 1;
  do {
    next_state = (next_state & ~kMask) | ((next_state + 1) & kMask);
  } while (next_state == 0 || states.contains(next_state));
  state->id = next_state;
  states.emplace(next_state, state);
  if (is_open) ++opens;
  return true;
}

std::shared_ptr<State> Client::Find(uint32_t state_id) {
  std::lock_guard lock(mutex);
  auto found = states.find(state_id);
  return found == states.end() ? nullptr : found->second;
}

void Client::Remove(uint32_t state_id, std::chrono::nanoseconds now) {
  std::shared_ptr<State> removed;  // destroyed after the lock
  std::lock_guard lock(mutex);
  auto found = states.find(state_id);
  if (found == states.end()) return;
  removed = std::move(found->second);
  states.erase(found);
  if (removed->kind == State::Kind::kOpen) --opens;
  if (states.empty()) idle_since = now;
}

bool Client::HasStates() {
  std::lock_guard lock(mutex);
  return !states.empty();
}

std::shared_ptr<OpenOwner> Client::OpenOwnerOf(std::string_view name) {
  std::lock_guard lock(mutex);
  auto found = open_owners.find(name);
  if (found != open_owners.end()) return found->second;
  return AddOwner(*this, open_owners, name);
}

std::shared_ptr<LockOwner> Client::LockOwnerOf(std::string_view name, bool make) {
  std::lock_guard lock(mutex);
  auto found = lock_owners.find(name);
  if (found != lock_owners.end()) return found->second;
  return make ? AddOwner(*this, lock_owners, name) : nullptr;
}

}  // namespace tarn::nfs4
