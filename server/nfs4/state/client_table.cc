#include "server/nfs4/state/client_table.h"

#include <algorithm>
#include <cstring>
#include <functional>

#include "common/log.h"
#include "server/nfs4/state/stateid.h"

namespace tarn::nfs4 {

ClientTable::ClientTable(Recovery& recovery, FileTable& files, const Clock& clock,
                         std::chrono::seconds lease, const StateLimits& limits)
    : recovery_(recovery), files_(files), clock_(clock), lease_(lease), tenants_(limits) {
  tenants_.bounds().in_grace = recovery_.InGrace();
  RestoreAll(recovery_.TakeSessions());
}

// Clients, sessions, owners and states hold each other.
ClientTable::~ClientTable() {
  for (const auto& [id, client] : by_id_) {
    client->callbacks->Abandon();
    client->sessions.clear();
    for (const auto& [state_id, state] : client->states) state->Leave();
    client->states.clear();
  }
}

// A client whose sessions were about to go, because it had begun anew, is not there again: it would
// take the record of what its newer self holds with it when its lease ends.
void ClientTable::RestoreAll(std::vector<SessionRecord> records) {
  // The newest self of each client first.
  std::ranges::stable_sort(records, std::greater<>(), &SessionRecord::client);
  for (const SessionRecord& record : records) {
    auto newest = confirmed_.find(record.client_key);
    if (newest == confirmed_.end() || newest->second->id == record.client) {
      Restore(record);
    } else {
      newest->second->ended_sessions.push_back(record.id);
    }
  }
}

void ClientTable::Restore(const SessionRecord& record) {
  auto found = by_id_.find(record.client);
  std::shared_ptr<Client> client = found == by_id_.end() ? nullptr : found->second;
  if (!client) {
    client = std::make_shared<Client>(record.client, true, record.client_key, record.principal,
                                      clock_, tenants_.Get(""), true);
    client->tenant_known = false;
    client->verifier = record.verifier;
    client->renewed = clock_.Monotonic();
    client->idle_since = clock_.Monotonic();
    client->next_state = FirstState(recovery_.epoch());
    client->restored = client->confirmed = true;
    client->may_reclaim = client->recorded = recovery_.MayReclaim(client->key);
    by_id_.emplace(client->id, client);
    confirmed_[client->key] = client;
  }
  client->create_session_sequence =
      std::max(client->create_session_sequence.load(), record.next_create_session);
  auto session = std::make_shared<Session>(record.id, client, record.fore, replies_);
  session->Restore();
  session->holding.TakeAnyway(kSessionBytes);
  session->back = client->callbacks->AddSession(record.id, record.back);
  sessions_.emplace(record.id, session);
  client->sessions.push_back(session);
}

void ClientTable::Unlink(const std::shared_ptr<Session>& session) {
  session->dead = true;
  sessions_.erase(session->id);
  session->client->callbacks->EndSession(session->id);
  session->client->ended_sessions.push_back(session->id);
}

void ClientTable::ForgetEnded(Client& client) {
  std::vector<sessionid4> ended;
  {
    std::unique_lock lock(mutex_);
    ended.swap(client.ended_sessions);
  }
  for (const sessionid4& id : ended) recovery_.ForgetSession(id);
}

size_t ClientTable::SessionHash::operator()(const sessionid4& id) const {
  uint64_t words[2];
  std::memcpy(words, id.data(), sizeof(words));
  return words[0] * 0x9e3779b97f4a7c15 ^ words[1];
}

std::shared_ptr<Client> ClientTable::Find(clientid4 id, const rpc::PeerIdentity& who) {
  std::shared_lock lock(mutex_);
  auto found = by_id_.find(id);
  return found == by_id_.end() || found->second->identity != who ? nullptr : found->second;
}

std::shared_ptr<Session> ClientTable::FindSession(const sessionid4& id,
                                                  const rpc::PeerIdentity& who) {
  std::shared_lock lock(mutex_);
  auto found = sessions_.find(id);
  bool theirs = found != sessions_.end() && found->second->client->identity == who;
  return theirs ? found->second : nullptr;
}

nfsstat4 ClientTable::FindConfirmed(clientid4 id, const rpc::PeerIdentity& who,
                                    std::shared_ptr<Client>& client) {
  if (EpochOf(id) != recovery_.epoch()) return NFS4ERR_STALE_CLIENTID;
  std::shared_lock lock(mutex_);
  auto found = by_id_.find(id);
  if (found == by_id_.end()) return NFS4ERR_EXPIRED;
  bool theirs = found->second->confirmed && found->second->identity == who;
  if (!theirs) return NFS4ERR_STALE_CLIENTID;
  client = found->second;
  return NFS4_OK;
}

size_t ClientTable::size() {
  std::shared_lock lock(mutex_);
  return by_id_.size();
}

std::shared_ptr<Client> ClientTable::Make(const Introduction& who, bool with_sessions) {
  TenantPtr tenant = tenants_.Get(who.tenant);
  const bool returns = recovery_.MayReclaim(who.key);
  // One that rebooted takes its own place.
  if (!confirmed_.contains(who.key) && !Account::MayOpen(*tenant, returns)) return nullptr;
  clientid4 id = 0;
  do {
    ++next_client_;
    id = clientid4{recovery_.epoch()} << 32 | next_client_;
  } while (next_client_ == 0 || by_id_.contains(id));
  auto client = std::make_shared<Client>(id, with_sessions, who.key, who.principal, clock_,
                                         std::move(tenant), returns);
  client->verifier = who.verifier;
  client->renewed = clock_.Monotonic();
  client->idle_since = clock_.Monotonic();
  client->next_state = FirstState(recovery_.epoch());
  by_id_.emplace(id, client);
  unconfirmed_[who.key] = client;
  return client;
}

void ClientTable::Unlink(const std::shared_ptr<Client>& client) {
  client->dead = true;
  by_id_.erase(client->id);
  for (auto* map : {&confirmed_, &unconfirmed_}) {
    auto found = map->find(client->key);
    if (found != map->end() && found->second == client) map->erase(found);
  }
  for (const auto& session : client->sessions) Unlink(session);
  client->sessions.clear();
}

void ClientTable::ReleaseState(const std::shared_ptr<Client>& client) {
  client->callbacks->Abandon();
  std::unordered_map<uint32_t, std::shared_ptr<State>> states;
  std::map<std::string, std::shared_ptr<OpenOwner>, std::less<>> open_owners;
  std::map<std::string, std::shared_ptr<LockOwner>, std::less<>> lock_owners;
  {
    std::lock_guard lock(client->mutex);
    states.swap(client->states);
    open_owners.swap(client->open_owners);
    lock_owners.swap(client->lock_owners);
  }
  for (const auto& [id, state] : states) files_.Close(state, clock_.Monotonic());
  ForgetEnded(*client);
  recovery_.Forget(*client);
}

void ClientTable::Drop(const std::shared_ptr<Client>& client) {
  {
    std::unique_lock lock(mutex_);
    Unlink(client);
  }
  ReleaseState(client);
}

bool ClientTable::DropIfExpired(const std::shared_ptr<Client>& client) {
  if (client == nullptr) return false;
  if (client->dead) return true;
  if (!Expired(*client)) return false;
  spdlog::info("nfs: client {:x} lost its state: its lease ran out and another one needs it",
               client->id);
  Drop(client);
  return true;
}

void ClientTable::DropUnconfirmed() {
  std::vector<std::shared_ptr<Client>> late;
  {
    std::shared_lock lock(mutex_);
    for (const auto& [key, client] : unconfirmed_) {
      if (Expired(*client)) late.push_back(client);
    }
  }
  if (late.empty()) return;
  std::unique_lock lock(mutex_);
  for (const auto& client : late) {
    if (!client->confirmed) Unlink(client);
  }
}

void ClientTable::Tick() {
  DropUnconfirmed();
  tenants_.Tick();
  tenants_.bounds().in_grace = recovery_.InGrace();
  auto now = clock_.Monotonic();
  std::vector<std::shared_ptr<Client>> clients;
  {
    std::shared_lock lock(mutex_);
    for (const auto& [id, client] : by_id_) clients.push_back(client);
  }
  for (const auto& client : clients) {
    auto silent = now - client->renewed.load();
    bool useless =
        silent > 2 * lease_ && (!client->HasStates() || client->account.MoreThanIsLeft());
    if (useless || silent > kCourtesy) {
      Drop(client);
      continue;
    }
    client->callbacks->Tick();
    ReleaseUnusedOwners(*client);
    // In grace it may only not have come back yet.
    if (!recovery_.InGrace()) recovery_.ForgetIfIdle(*client, now - kForgetAfter);
  }
}

void ClientTable::ReleaseUnusedOwners(Client& client) {
  auto before = clock_.Monotonic() - lease_;
  std::vector<std::shared_ptr<State>> closed;  // destroyed after the lock
  std::lock_guard lock(client.mutex);
  // An owner that only the map knows is in use by nobody, and nobody can come to it meanwhile.
  std::erase_if(client.open_owners, [&](auto& entry) {
    OpenOwner& owner = *entry.second;
    auto last = owner.last_closed.lock();
    auto held_by_closed = last ? 1 : 0;  // the closed state names its owner
    if (entry.second.use_count() > 1 + held_by_closed || owner.sequence.used > before) return false;
    if (last) {
      client.opens -= client.states.erase(last->id);
      closed.push_back(std::move(last));
    }
    return true;
  });
  std::erase_if(client.lock_owners, [&](auto& entry) {
    return entry.second.use_count() == 1 && entry.second->sequence.used <= before;
  });
  if (client.states.empty() && !closed.empty()) client.idle_since = clock_.Monotonic();
}

}  // namespace tarn::nfs4
