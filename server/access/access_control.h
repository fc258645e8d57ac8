// AccessControl: who may do what, decided once a connection and again when a policy changes.
//
// Between the NFS server and what it serves: it shows the exports of server/control as one
// connection may see them. Of the layers that must all allow, these are its own:
//   network      the peer's address, as TCP has it, is in a security group of the mount target.
//                Where that has none yet and is closed, the client is to come again.
//                server/control ends running connections when those change.
//   identity     a ServiceAccount token in the client's certificate is verified, or a signature by
//                an access key; one that is not genuine ends the connection. None: an anonymous
//                client.
//   binding      a certificate that names a file system is for that one alone, also when the
//                listener leads to another one later; one that names an access point leads into
//                that one, and nothing else can be reached.
//   policy       the file system's policy (server/policy), asked with all of that.
// The mode bits are the engine's affair; who is in which group is told here, if the server knows
// it.
//
// A running connection keeps the identity that it began with, also when its token expires
// meanwhile: a control plane that is down ends no mount.
//
// All of that makes the identity (IdentityOf in connection.h) whose NFS clients the connection may
// go on with.
//
// Each connection that is refused, and each export that a connection is let into or kept out of, is
// an entry of the audit journal; so is each change of that.
//
// Peers are those of an RPC server that has this as its gate. Threads: any. `exports`, `policies`,
// `clock` and `journal` must outlive it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "common/tls/identity_certificate.h"
#include "server/access/connection.h"
#include "server/audit/journal.h"
#include "server/control/exports.h"
#include "server/identity/access_keys.h"
#include "server/identity/token_issuers.h"
#include "server/identity/user_groups.h"
#include "server/nfs4/exports.h"
#include "server/policy/table.h"
#include "server/rpc/gate.h"

namespace tarn::access {

class AccessControl final : public nfs4::Exports, public rpc::Gate {
 public:
  // What counts as a proof now; called at the beginning of connections that show one.
  struct Trusted {
    // Null, or none: no token does, and who shows one is refused.
    std::function<std::shared_ptr<const identity::TokenIssuers>()> issuers;
    // None: signatures are not looked at.
    std::function<std::shared_ptr<const identity::AccessKeys>()> access_keys;
    // None: calls say which groups their users are in. Asked by each compound.
    std::function<std::shared_ptr<const identity::UserGroups>()> user_groups;
  };
  AccessControl(control::ExportTable& exports, const policy::Table& policies, Trusted trusted,
                const Clock& clock, audit::Journal& journal)
      : exports_(exports),
        policies_(policies),
        trusted_(std::move(trusted)),
        clock_(clock),
        journal_(journal) {}

  // --- rpc::Gate ---
  void Admit(const rpc::Peer& peer, rpc::Verdict verdict) override;

  // --- nfs4::Exports ---
  Result<std::shared_ptr<const nfs4::Export>> Root(uint64_t listener) override {
    return exports_.Root(listener);
  }
  Result<std::shared_ptr<const nfs4::Export>> Enter(uint32_t file_system,
                                                    std::string_view name) override {
    return exports_.Enter(file_system, name);
  }
  Result<std::shared_ptr<const nfs4::Export>> Find(uint32_t file_system, uint64_t number) override {
    return exports_.Find(file_system, number);
  }
  std::vector<std::shared_ptr<const nfs4::Export>> FileSystems() override {
    return exports_.FileSystems();
  }
  Result<std::shared_ptr<const nfs4::Export>> RootFor(const rpc::Peer& peer) override;
  Result<std::shared_ptr<const nfs4::Export>> EnterFor(const rpc::Peer& peer,
                                                       const nfs4::Export& file_system,
                                                       std::string_view name) override;
  nfs4::Rights RightsOf(const rpc::Peer& peer, const nfs4::Export& exported) override;
  void SettleGroups(vfs::Caller& caller) override;

 private:
  // What somebody wants to use: an export, or an access point whose export is not made yet.
  struct Target {
    uint32_t file_system = 0;
    uint64_t number = 0;
    std::string_view file_system_arn;
    std::string_view access_point_arn;  // empty: the file system itself
  };
  Result<std::shared_ptr<Connection>> Identify(const rpc::Peer& peer);
  // A refusal, into the journal.
  void Record(const rpc::Peer& peer, audit::Layer layer, const std::string& why);
  Result<void> CheckBinding(const rpc::Peer& peer, const tls::CertificateIdentity& claims);
  Result<void> AddAccount(const rpc::Security& security, const std::string& token, Facts& facts);
  Result<void> AddPrincipal(const rpc::Peer& peer, const tls::SigV4Claim& claim, Facts& facts);
  struct Verdict {
    nfs4::Rights rights;
    // Of ClientMount; none: what the certificate is bound to decided.
    std::optional<policy::Decision> mount = std::nullopt;
  };
  nfs4::Rights RightsTo(const rpc::Peer& peer, const Target& target);
  Verdict Decide(const Connection& connection, const Target& target, const policy::Policy* policy,
                 int64_t now);
  void Record(const rpc::Peer& peer, const Target& target, const policy::Policy* policy,
              const Verdict& verdict);

  control::ExportTable& exports_;
  const policy::Table& policies_;
  const Trusted trusted_;
  const Clock& clock_;
  audit::Journal& journal_;
};

}  // namespace tarn::access
