// The clients and sessions of the server: RFC 7530 section 16.33 (SETCLIENTID) and RFC 8881
// sections 18.35 to 18.37 (EXCHANGE_ID, CREATE_SESSION, DESTROY_SESSION).
//
// A client whose lease ran out keeps its state until someone else needs what it holds (courtesy),
// or its tenant holds more than is left for all: a client that was cut off for a while goes on as
// if nothing had been. Threads: any.
#pragma once

#include <memory>
#include <shared_mutex>
#include <string>
#include <unordered_map>

#include "common/clock.h"
#include "server/nfs4/state/client.h"
#include "server/nfs4/state/file_state.h"
#include "server/nfs4/state/recovery.h"
#include "server/nfs4/state/session.h"

namespace tarn::nfs4 {

class ClientTable {
 public:
  // How long a client whose lease ran out may keep its state, if nobody needs it.
  static constexpr std::chrono::hours kCourtesy{24};
  // A client that holds nothing for so long is not recorded any more.
  static constexpr std::chrono::seconds kForgetAfter{10};

  // New clients beyond `limits`, or beyond their tenant's part of them, wait (NFS4ERR_DELAY) until
  // an expired one has gone.
  ClientTable(Recovery& recovery, FileTable& files, const Clock& clock, std::chrono::seconds lease,
              const StateLimits& limits);
  ~ClientTable();

  // `who`: of the connection that asks. What is another one's is not found, here and below: RFC
  // 8881 leaves it to the server whom it takes for the same client where SP4_NONE protects nothing
  // (section 2.10.8.3), and has errors for a clientid or session that is not known.
  std::shared_ptr<Client> Find(clientid4 id, const rpc::PeerIdentity& who);
  std::shared_ptr<Session> FindSession(const sessionid4& id, const rpc::PeerIdentity& who);
  void Renew(Client& client) { client.renewed = clock_.Monotonic(); }
  // Of a client that was restored: whose it is.
  void Adopt(Client& client, const rpc::Peer& peer) {
    if (client.tenant_known.load(std::memory_order_relaxed)) return;
    client.account.MoveTo(tenants_.Get(peer.tenant()));
    client.tenant_known = true;
  }
  bool Expired(const Client& client) const {
    return clock_.Monotonic() - client.renewed.load() > lease_;
  }
  // NFS4_OK for a client of this run, else NFS4ERR_STALE_CLIENTID or NFS4ERR_EXPIRED.
  nfsstat4 FindConfirmed(clientid4 id, const rpc::PeerIdentity& who,
                         std::shared_ptr<Client>& client);

  // Drops the client with all its state and its record.
  void Drop(const std::shared_ptr<Client>& client);
  // Drops it if its lease ran out: true, and the conflict with it is gone.
  bool DropIfExpired(const std::shared_ptr<Client>& client);
  // Drops what has been expired for too long. Call about once a second.
  void Tick();

  struct Introduction {
    std::string key;  // a ClientKey's text
    verifier4 verifier{};
    Principal principal;
    std::string tenant;          // rpc::Peer::tenant
    CallbackAddress callback{};  // 4.0
  };
  struct Introduced {
    nfsstat4 status = NFS4_OK;
    std::shared_ptr<Client> client;
    verifier4 confirm{};         // 4.0
    bool confirmed = false;      // 4.1: EXCHGID4_FLAG_CONFIRMED_R
    uint32_t next_sequence = 1;  // 4.1: of CREATE_SESSION
  };
  Introduced SetClientId(const Introduction& who);
  nfsstat4 ConfirmClientId(clientid4 id, const rpc::PeerIdentity& who, const verifier4& confirm,
                           const Principal& principal);
  Introduced ExchangeId(const Introduction& who, bool update);
  // Confirms the client and makes a session, on stable storage. Sessions of the last run end with
  // it. The caller holds client.create_session_mutex.
  nfsstat4 CreateSession(const std::shared_ptr<Client>& client, const Principal& principal,
                         const channel_attrs4& fore, const BackChannelTerms& back,
                         std::shared_ptr<Session>& session);
  nfsstat4 DestroySession(const sessionid4& id, const rpc::PeerIdentity& who, const Client* caller);
  nfsstat4 DestroyClient(clientid4 id, const rpc::PeerIdentity& who);

  size_t size();
  const StateBounds& bounds() { return tenants_.bounds(); }

 private:
  void RestoreAll(std::vector<SessionRecord> records);
  void Restore(const SessionRecord& record);
  // Takes the session out of the table; its record goes with ForgetEnded. With mutex_ held.
  void Unlink(const std::shared_ptr<Session>& session);
  void ForgetEnded(Client& client);
  // With mutex_ held:
  // Does it take the place of what it was before it rebooted, or before the server did?
  bool BeginsAnew(const Client& client) const;
  // Null: there are too many.
  std::shared_ptr<Client> Make(const Introduction& who, bool with_sessions);
  void Unlink(const std::shared_ptr<Client>& client);
  // After it was unlinked, without mutex_.
  void ReleaseState(const std::shared_ptr<Client>& client);
  void ReleaseUnusedOwners(Client& client);
  // Those that did not confirm within a lease (RFC 7530 section 16.33.5, RFC 8881 section 18.35.4).
  void DropUnconfirmed();
  // With mutex_ held. Nobody can guess it. False: there is no randomness to be had.
  bool FreshSessionId(sessionid4& id) const;

  Recovery& recovery_;
  FileTable& files_;
  const Clock& clock_;
  const std::chrono::nanoseconds lease_;
  const std::shared_ptr<ReplyBudget> replies_ = std::make_shared<ReplyBudget>();
  Tenants tenants_;

  std::shared_mutex mutex_;
  struct SessionHash {
    size_t operator()(const sessionid4& id) const;
  };
  std::unordered_map<clientid4, std::shared_ptr<Client>> by_id_;
  std::unordered_map<std::string, std::shared_ptr<Client>> confirmed_;
  std::unordered_map<std::string, std::shared_ptr<Client>> unconfirmed_;
  std::unordered_map<sessionid4, std::shared_ptr<Session>, SessionHash> sessions_;
  uint32_t next_client_ = 0;
};

}  // namespace tarn::nfs4
