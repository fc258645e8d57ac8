// How clients come: SETCLIENTID and EXCHANGE_ID, and what confirms them.
#include <algorithm>
#include <cstring>

#include "common/crypto/secret_bytes.h"
#include "server/nfs4/state/client_table.h"
#include "server/nfs4/status.h"

namespace tarn::nfs4 {

bool ClientTable::FreshSessionId(sessionid4& id) const {
  do {
    if (!FillRandom(id)) return false;
  } while (sessions_.contains(id));
  return true;
}

// The cases of RFC 7530 section 16.33.5.
ClientTable::Introduced ClientTable::SetClientId(const Introduction& who) {
  Introduced out;
  if (!FillRandom(out.confirm)) {
    out.status = NFS4ERR_SERVERFAULT;
    return out;
  }
  std::unique_lock lock(mutex_);
  auto found = confirmed_.find(who.key);
  std::shared_ptr<Client> known = found == confirmed_.end() ? nullptr : found->second;
  if (known && known->principal != who.principal && known->HasStates() && !Expired(*known)) {
    out.status = NFS4ERR_CLID_INUSE;
    return out;
  }
  auto waiting = unconfirmed_.find(who.key);
  if (waiting != unconfirmed_.end()) Unlink(std::shared_ptr<Client>(waiting->second));
  if (known && known->verifier == who.verifier && known->principal == who.principal) {
    known->pending_confirm = out.confirm;  // the same client with a new callback
    known->callback_address = who.callback;
    out.client = known;
    return out;
  }
  out.client = Make(who, false);
  if (!out.client) {
    out.status = NFS4ERR_DELAY;
    return out;
  }
  out.client->confirm_verifier = out.confirm;
  out.client->callback_address = who.callback;
  return out;
}

nfsstat4 ClientTable::ConfirmClientId(clientid4 id, const rpc::PeerIdentity& who,
                                      const verifier4& confirm, const Principal& principal) {
  if (EpochOf(id) != recovery_.epoch()) return NFS4ERR_STALE_CLIENTID;
  std::shared_ptr<Client> replaced;
  std::shared_ptr<Client> client;
  {
    std::unique_lock lock(mutex_);
    auto found = by_id_.find(id);
    if (found == by_id_.end() || found->second->sessions_used) return NFS4ERR_STALE_CLIENTID;
    client = found->second;
    if (client->identity != who) return NFS4ERR_STALE_CLIENTID;
    if (client->principal != principal) return NFS4ERR_CLID_INUSE;
    if (client->pending_confirm && *client->pending_confirm == confirm) {
      client->confirm_verifier = confirm;
      client->pending_confirm.reset();
      client->callbacks->SetAddress(client->callback_address);
    }
    if (client->confirm_verifier != confirm) return NFS4ERR_STALE_CLIENTID;
    client->renewed = clock_.Monotonic();
    if (client->confirmed) return NFS4_OK;
    client->callbacks->SetAddress(client->callback_address);
    auto old = confirmed_.find(client->key);
    if (old != confirmed_.end()) replaced = old->second;
    if (replaced) Unlink(replaced);
    unconfirmed_.erase(client->key);
    client->confirmed = true;
    confirmed_[client->key] = client;
  }
  if (replaced) ReleaseState(replaced);
  // A client of the last run has its record still, unless the one it replaces just lost it.
  bool known = !replaced && recovery_.MayReclaim(client->key);
  std::lock_guard lock(client->record_mutex);
  client->may_reclaim = known;
  client->recorded = client->recorded || known;
  return NFS4_OK;
}

// The cases of RFC 8881 section 18.35.4.
ClientTable::Introduced ClientTable::ExchangeId(const Introduction& who, bool update) {
  Introduced out;
  std::shared_ptr<Client> replaced;
  {
    std::unique_lock lock(mutex_);
    auto found = confirmed_.find(who.key);
    std::shared_ptr<Client> known = found == confirmed_.end() ? nullptr : found->second;
    if (update && !known) out.status = NFS4ERR_NOENT;
    if (update && known && known->verifier != who.verifier) out.status = NFS4ERR_NOT_SAME;
    if (update && known && known->principal != who.principal) out.status = NFS4ERR_PERM;
    if (out.status != NFS4_OK) return out;
    bool same = known && known->principal == who.principal && known->verifier == who.verifier;
    if (same) {
      out.client = known;
      out.confirmed = true;
      out.next_sequence = known->create_session_sequence;
      return out;
    }
    if (known && known->principal != who.principal) {
      if (known->HasStates() && !Expired(*known)) {
        out.status = NFS4ERR_CLID_INUSE;
        return out;
      }
      replaced = known;
      Unlink(replaced);
    }
    auto waiting = unconfirmed_.find(who.key);
    if (waiting != unconfirmed_.end()) Unlink(std::shared_ptr<Client>(waiting->second));
    out.client = Make(who, true);
    if (!out.client) out.status = NFS4ERR_DELAY;
  }
  if (replaced) ReleaseState(replaced);
  return out;
}

bool ClientTable::BeginsAnew(const Client& client) const {
  if (!client.confirmed) return confirmed_.contains(client.key);
  return std::ranges::any_of(client.sessions, [](const auto& one) { return one->restored; });
}

nfsstat4 ClientTable::CreateSession(const std::shared_ptr<Client>& client,
                                    const Principal& principal, const channel_attrs4& fore,
                                    const BackChannelTerms& back,
                                    std::shared_ptr<Session>& session) {
  std::shared_ptr<Client> replaced;
  bool confirms = false;
  {
    std::unique_lock lock(mutex_);
    if (client->dead) return NFS4ERR_STALE_CLIENTID;
    sessionid4 id{};
    if (!FreshSessionId(id)) return NFS4ERR_SERVERFAULT;
    session = std::make_shared<Session>(id, client, fore, replies_);
    if (BeginsAnew(*client)) {
      session->holding.TakeAnyway(kSessionBytes);  // this gives back what it had
    } else if (!session->holding.Take(kSessionBytes)) {
      return NFS4ERR_DELAY;
    }
    if (!client->confirmed) {
      if (client->principal != principal) return NFS4ERR_CLID_INUSE;
      auto old = confirmed_.find(client->key);
      if (old != confirmed_.end()) replaced = old->second;
      if (replaced) Unlink(replaced);
      unconfirmed_.erase(client->key);
      client->confirmed = confirms = true;
      confirmed_[client->key] = client;
    }
    // It starts anew: it has nothing more to ask in sessions of the last run.
    auto old = std::partition(client->sessions.begin(), client->sessions.end(),
                              [](const auto& one) { return !one->restored; });
    std::for_each(old, client->sessions.end(), [this](const auto& one) { Unlink(one); });
    client->sessions.erase(old, client->sessions.end());
    if (client->sessions.size() >= Client::kSessionsMax) return NFS4ERR_NOSPC;
    client->renewed = clock_.Monotonic();
  }
  if (replaced) ReleaseState(replaced);
  ForgetEnded(*client);
  // The client learns of it only when it is on stable storage.
  auto kept = recovery_.KeepSession({.id = session->id,
                                     .client = client->id,
                                     .client_key = client->key,
                                     .verifier = client->verifier,
                                     .principal = client->principal,
                                     .next_create_session = client->create_session_sequence + 1,
                                     .fore = fore,
                                     .back = back});
  {
    std::unique_lock lock(mutex_);
    if (!kept.ok() || client->dead) {
      client->ended_sessions.push_back(session->id);  // its record may be there all the same
      return kept.ok() ? NFS4ERR_STALE_CLIENTID : ToStatus(kept);
    }
    session->back = client->callbacks->AddSession(session->id, back);
    sessions_.emplace(session->id, session);
    client->sessions.push_back(session);
  }
  if (confirms && !replaced && recovery_.MayReclaim(client->key)) {
    std::lock_guard lock(client->record_mutex);
    client->may_reclaim = client->recorded = true;
  }
  return NFS4_OK;
}

nfsstat4 ClientTable::DestroySession(const sessionid4& id, const rpc::PeerIdentity& who,
                                     const Client* caller) {
  std::shared_ptr<Session> session;
  {
    std::unique_lock lock(mutex_);
    auto found = sessions_.find(id);
    if (found == sessions_.end()) return NFS4ERR_BADSESSION;
    session = found->second;
    bool others = caller != nullptr && session->client.get() != caller;
    if (others || session->client->identity != who) return NFS4ERR_BADSESSION;
    std::erase(session->client->sessions, session);
    Unlink(session);
  }
  ForgetEnded(*session->client);
  return NFS4_OK;
}

nfsstat4 ClientTable::DestroyClient(clientid4 id, const rpc::PeerIdentity& who) {
  std::shared_ptr<Client> client = Find(id, who);
  if (!client || !client->sessions_used) return NFS4ERR_STALE_CLIENTID;
  {
    std::unique_lock lock(mutex_);
    if (client->dead) return NFS4ERR_STALE_CLIENTID;
    if (!client->sessions.empty() || client->HasStates()) return NFS4ERR_CLIENTID_BUSY;
    Unlink(client);
  }
  ReleaseState(client);
  return NFS4_OK;
}

}  // namespace tarn::nfs4
