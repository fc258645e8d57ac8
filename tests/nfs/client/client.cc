#include "tests/nfs/client/client.h"

#include <cstring>

namespace tarn::nfs_client {

using namespace nfs4;

namespace {

verifier4 VerifierOf(uint64_t number) {
  verifier4 verifier{};
  std::memcpy(verifier.data(), &number, sizeof(number));
  return verifier;
}

}  // namespace

Answer<std::unique_ptr<Client>> Client::Connect(const ClientOptions& options) {
  std::unique_ptr<Client> client(new Client(options));
  if (!client->Reconnect()) return {};
  return {.status = NFS4_OK, .value = std::move(client)};
}

Answer<std::unique_ptr<Client>> Client::Mount(const ClientOptions& options, bool reclaim_complete) {
  auto client = Connect(options);
  if (!client.ok()) return client;
  if (options.minor == 0) {
    client.status = client->get()->SetClientId();
    return client;
  }
  client.status = client->get()->ExchangeId();
  if (client.ok()) client.status = client->get()->CreateSession();
  if (client.ok() && reclaim_complete) client.status = client->get()->ReclaimComplete();
  return client;
}

bool Client::Reconnect() {
  auto connection = RpcConnection::Connect(options_.address, options_.port);
  if (!connection.ok()) return false;
  if (options_.tls && !(*connection)->StartTls(*options_.tls, options_.address).ok()) return false;
  connection_ = std::move(*connection);
  connection_->SetIdentity(options_.identity);
  if (options_.callbacks && options_.minor >= 1) {
    connection_->OnCall([program = callbacks_.get()](uint32_t procedure, xdr::Decoder& arguments) {
      return program->Handle(procedure, arguments);
    });
  }
  return true;
}

std::unique_ptr<RpcConnection> Client::AddConnection() {
  auto before = std::move(connection_);
  return Reconnect() ? std::move(before) : nullptr;
}

void Client::SetIdentity(const Identity& identity) {
  connection_->SetIdentity(identity);
}

CompoundReply Client::Exchange(uint32_t minor, const SEQUENCE4args* sequence, Compound& compound) {
  xdr::Encoder head = compound.Head(minor, sequence);
  uint32_t xid = connection_->NextXid();
  if (!connection_->Send(xid, NFSPROC4_COMPOUND, {&head, &compound.ops()}).ok()) return {};
  auto reply = connection_->Receive();
  if (!reply.ok() || reply->xid != xid) return {};
  CompoundReply result(std::move(*reply), sequence != nullptr);
  if (sequence != nullptr && result.sequence().sr_status == NFS4_OK) {
    status_flags_ = result.sequence().sr_resok4.sr_status_flags;
  }
  return result;
}

CompoundReply Client::Run(Compound& compound) {
  if (options_.minor == 0) return RunBare(compound);
  SEQUENCE4args sequence = NextSequence(0, !compound.large());
  CompoundReply reply = RunWith(sequence, compound);
  // A SEQUENCE that failed did not move the slot on (RFC 8881 section 2.10.6.1).
  if (reply.status != NFS4_OK && reply.sequence().sr_status != NFS4_OK) --slots_[0];
  return reply;
}

CompoundReply Client::RunBare(Compound& compound) {
  return Exchange(options_.minor, nullptr, compound);
}

CompoundReply Client::RunMinor(uint32_t minor, Compound& compound) {
  return Exchange(minor, nullptr, compound);
}

CompoundReply Client::RunWith(const SEQUENCE4args& sequence, Compound& compound) {
  return Exchange(options_.minor, &sequence, compound);
}

SEQUENCE4args Client::NextSequence(uint32_t slot, bool cache) {
  return {.sa_sessionid = session_id_,
          .sa_sequenceid = ++slots_[slot],
          .sa_slotid = slot,
          .sa_highest_slotid = options_.slots - 1,
          .sa_cachethis = cache};
}

nfsstat4 Client::ExchangeId() {
  Compound compound;
  compound.Add(OP_EXCHANGE_ID,
               EXCHANGE_ID4args{.eia_clientowner = {.co_verifier = VerifierOf(options_.boot),
                                                    .co_ownerid = AsOpaque(options_.owner)},
                                .eia_flags = EXCHGID4_FLAG_USE_NON_PNFS,
                                .eia_state_protect = {},
                                .eia_client_impl_id = {}});
  CompoundReply reply = RunBare(compound);
  if (reply.status != NFS4_OK) return reply.status;
  const EXCHANGE_ID4resok& ok = reply.Get<EXCHANGE_ID4res>(0).eir_resok4;
  client_id_ = ok.eir_clientid;
  session_sequence_ = ok.eir_sequenceid;
  return NFS4_OK;
}

nfsstat4 Client::CreateSession() {
  Compound compound;
  channel_attrs4 fore{.ca_headerpadsize = 0,
                      .ca_maxrequestsize = options_.request_bytes,
                      .ca_maxresponsesize = options_.reply_bytes,
                      .ca_maxresponsesize_cached = 4096,
                      .ca_maxoperations = 64,
                      .ca_maxrequests = options_.slots,
                      .ca_rdma_ird = {}};
  uint32_t flags = options_.callbacks ? CREATE_SESSION4_FLAG_CONN_BACK_CHAN : 0;
  channel_attrs4 back{.ca_headerpadsize = 0,
                      .ca_maxrequestsize = 4096,
                      .ca_maxresponsesize = 4096,
                      .ca_maxresponsesize_cached = 0,
                      .ca_maxoperations = 2,
                      .ca_maxrequests = 1,
                      .ca_rdma_ird = {}};
  compound.Add(OP_CREATE_SESSION, CREATE_SESSION4args{.csa_clientid = client_id_,
                                                      .csa_sequence = session_sequence_,
                                                      .csa_flags = flags,
                                                      .csa_fore_chan_attrs = fore,
                                                      .csa_back_chan_attrs = back,
                                                      .csa_cb_program = NFS4_CALLBACK,
                                                      .csa_sec_parms = {{}}});
  CompoundReply reply = RunBare(compound);
  if (reply.status != NFS4_OK) return reply.status;
  const CREATE_SESSION4resok& ok = reply.Get<CREATE_SESSION4res>(0).csr_resok4;
  session_id_ = ok.csr_sessionid;
  fore_ = ok.csr_fore_chan_attrs;
  ++session_sequence_;
  slots_.clear();
  return NFS4_OK;
}

nfsstat4 Client::SetClientId() {
  if (options_.callbacks && !listener_) listener_ = std::make_unique<CallbackListener>(*callbacks_);
  std::string address = listener_ ? listener_->universal_address() : "127.0.0.1.0.0";
  Compound compound;
  compound.Add(
      OP_SETCLIENTID,
      SETCLIENTID4args{
          .client = {.verifier = VerifierOf(options_.boot), .id = AsOpaque(options_.owner)},
          .callback = {.cb_program = NFS4_CALLBACK,
                       .cb_location = {.na_r_netid = "tcp", .na_r_addr = address}},
          .callback_ident = 1});
  CompoundReply reply = RunBare(compound);
  if (reply.status != NFS4_OK) return reply.status;
  const SETCLIENTID4resok& ok = reply.Get<SETCLIENTID4res>(0).resok4;
  client_id_ = ok.clientid;
  Compound confirm;
  confirm.Add(OP_SETCLIENTID_CONFIRM,
              SETCLIENTID_CONFIRM4args{.clientid = ok.clientid,
                                       .setclientid_confirm = ok.setclientid_confirm});
  return RunBare(confirm).status;
}

nfsstat4 Client::BindConnection(channel_dir_from_client4 direction) {
  Compound compound;
  compound.Add(OP_BIND_CONN_TO_SESSION,
               BIND_CONN_TO_SESSION4args{.bctsa_sessid = session_id_,
                                         .bctsa_dir = direction,
                                         .bctsa_use_conn_in_rdma_mode = false});
  return RunBare(compound).status;
}

bool Client::WaitCallback() {
  return listener_ ? listener_->Serve() : connection_->ServeCall().ok();
}

nfsstat4 Client::ReclaimComplete() {
  Compound compound;
  compound.Add(OP_RECLAIM_COMPLETE, RECLAIM_COMPLETE4args{.rca_one_fs = false});
  return Run(compound).status;
}

nfsstat4 Client::DestroySession() {
  Compound compound;
  compound.Add(OP_DESTROY_SESSION, DESTROY_SESSION4args{.dsa_sessionid = session_id_});
  return RunBare(compound).status;
}

nfsstat4 Client::DestroyClientId() {
  Compound compound;
  compound.Add(OP_DESTROY_CLIENTID, DESTROY_CLIENTID4args{.dca_clientid = client_id_});
  return RunBare(compound).status;
}

nfsstat4 Client::Renew() {
  Compound compound;
  if (options_.minor == 0) compound.Add(OP_RENEW, RENEW4args{.clientid = client_id_});
  return Run(compound).status;
}

}  // namespace tarn::nfs_client
