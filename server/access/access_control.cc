#include "server/access/access_control.h"

#include <chrono>
#include <utility>

#include "common/log.h"
#include "server/policy/principals.h"
#include "server/rpc/security.h"

namespace tarn::access {
namespace {

using nfs4::Rights;
using ExportPtr = std::shared_ptr<const nfs4::Export>;

constexpr size_t kRegionOfArn = 3;       // of the parts of SplitArn
constexpr int64_t kTimeStepSeconds = 1;  // how long a decision holds that depends on the time

// No call is run without it: it is what Admit gave.
const Connection& ConnectionOf(const rpc::Peer& peer) {
  return static_cast<const Connection&>(*peer.admission);
}

std::string TransportOf(const rpc::Peer& peer) {
  return peer.security ? peer.security->protocol : "plain";
}

}  // namespace

Result<void> AccessControl::CheckBinding(const rpc::Peer& peer,
                                         const tls::CertificateIdentity& claims) {
  if (!claims.file_system_id && !claims.access_point_id) return Ok();
  TRY(ExportPtr root, exports_.Root(peer.listener));
  std::string id(policy::IdOfArn(root->file_system_arn));
  if (claims.file_system_id && *claims.file_system_id != id) {
    return Error(Code::kDenied, "its certificate is for " + *claims.file_system_id +
                                    ", and this mount target is of " + id);
  }
  if (claims.access_point_id &&
      !exports_.FindAccessPoint(root->file_system, *claims.access_point_id).ok()) {
    return Error(Code::kDenied,
                 id + " has no access point " + *claims.access_point_id + ", of its certificate");
  }
  return Ok();
}

Result<void> AccessControl::AddAccount(const rpc::Security& security, const std::string& token,
                                       Facts& facts) {
  // Before TLS 1.3 certificates pass in the clear, and a token that others have read is no proof.
  if (security.protocol != "TLSv1.3") {
    return Error(Code::kUnauthenticated, "a token counts only over TLS 1.3");
  }
  auto issuers = trusted_.issuers ? trusted_.issuers() : nullptr;
  if (!issuers) return Error(Code::kUnauthenticated, "no issuer of tokens is trusted here");
  auto now = std::chrono::duration_cast<std::chrono::seconds>(clock_.Now());
  TRY(auto account, issuers->Verify(token, now));
  facts.issuer = account.issuer;
  std::string space = account.Qualified(account.name_space);
  facts.account_name = space + "/" + account.name;
  facts.groups = policy::GroupsOf(space);
  if (!account.pod.empty()) facts.pod_name = space + "/" + account.pod;
  facts.pod_uid = account.pod_uid;
  return Ok();
}

// Unlike a token it is no secret: it is of use only to who has the certificate's key.
Result<void> AccessControl::AddPrincipal(const rpc::Peer& peer, const tls::SigV4Claim& claim,
                                         Facts& facts) {
  auto keys = trusted_.access_keys ? trusted_.access_keys() : nullptr;
  if (!keys) return Ok();
  TRY(ExportPtr root, exports_.Root(peer.listener));
  auto arn = policy::SplitArn(root->file_system_arn);
  if (!arn) return Error(Code::kInternal, "the file system has no region");
  std::chrono::sys_seconds now(std::chrono::duration_cast<std::chrono::seconds>(clock_.Now()));
  identity::AccessKeys::Signed about{.public_key = peer.security->certificate->public_key,
                                     .file_system_id = policy::IdOfArn(root->file_system_arn),
                                     .region = (*arn)[kRegionOfArn]};
  TRY(facts.aws_principal, keys->Verify(claim, about, now));
  return Ok();
}

Result<std::shared_ptr<Connection>> AccessControl::Identify(const rpc::Peer& peer) {
  Facts facts{.source_ip = IpAddress::Parse(peer.address),
              .secure_transport = peer.security != nullptr};
  if (!peer.security || !peer.security->certificate) {
    return std::make_shared<Connection>(std::move(facts));
  }
  const tls::CertificateIdentity& claims = peer.security->certificate->identity;
  TRY(CheckBinding(peer, claims));
  facts.file_system = claims.file_system_id.value_or("");
  facts.access_point = claims.access_point_id.value_or("");
  if (claims.token) TRY(AddAccount(*peer.security, *claims.token, facts));
  if (claims.sigv4) TRY(AddPrincipal(peer, *claims.sigv4, facts));
  if (!facts.account_name.empty() && !facts.aws_principal.empty()) {
    return Error(Code::kUnauthenticated, "its certificate is of two, by a token and a signature");
  }
  return std::make_shared<Connection>(std::move(facts));
}

void AccessControl::Admit(const rpc::Peer& peer, rpc::Verdict verdict) {
  // First: who may not connect is not asked who it is.
  switch (exports_.EntryOf(peer.listener, IpAddress::Parse(peer.address))) {
    case control::ExportTable::Entry::kAllowed:
      break;
    case control::ExportTable::Entry::kUndecided:
      // Nobody is refused for that: a client that is told so fails for good.
      return verdict.PutOff("the mount target has no security groups yet");
    case control::ExportTable::Entry::kForbidden: {
      constexpr const char* kWhy = "its address is in no security group of the mount target";
      Record(peer, audit::Layer::kNetwork, kWhy);
      return verdict.Refuse(kWhy);
    }
  }
  auto connection = Identify(peer);
  if (connection) return verdict.Admit(*std::move(connection));
  Record(peer, audit::Layer::kIdentity, connection.error().message());
  verdict.Refuse(connection.error().message());
}

void AccessControl::Record(const rpc::Peer& peer, audit::Layer layer, const std::string& why) {
  audit::Access refused{
      .layer = layer, .reason = why, .address = peer.address, .transport = TransportOf(peer)};
  if (auto root = exports_.Root(peer.listener)) {
    refused.file_system_id = policy::IdOfArn((*root)->file_system_arn);
  }
  // What the certificate claims is not proven, but it is what whoever asks will look for.
  if (peer.security && peer.security->certificate) {
    const tls::CertificateIdentity& claims = peer.security->certificate->identity;
    if (claims.file_system_id) refused.file_system_id = *claims.file_system_id;
    refused.access_point_id = claims.access_point_id.value_or("");
  }
  journal_.Add(std::move(refused));
}

Result<ExportPtr> AccessControl::RootFor(const rpc::Peer& peer) {
  TRY(ExportPtr root, exports_.Root(peer.listener));
  const std::string& bound = ConnectionOf(peer).facts().access_point;
  if (bound.empty()) return root;
  return EnterFor(peer, *root, bound);
}

Result<ExportPtr> AccessControl::EnterFor(const rpc::Peer& peer, const nfs4::Export& file_system,
                                          std::string_view name) {
  TRY(auto point, exports_.FindAccessPoint(file_system.file_system, name));
  if (point.exported) return point.exported;  // who enters it asks for its rights
  auto arn = policy::AccessPointArnBeside(file_system.file_system_arn, name);
  if (!arn) return Error(Code::kNotFound);
  Target target{.file_system = file_system.file_system,
                .number = point.number,
                .file_system_arn = file_system.file_system_arn,
                .access_point_arn = *arn};
  if (!RightsTo(peer, target).mount) return Error(Code::kDenied);
  return exports_.Enter(file_system.file_system, name);
}

Rights AccessControl::RightsOf(const rpc::Peer& peer, const nfs4::Export& exported) {
  return RightsTo(peer, {.file_system = exported.file_system,
                         .number = exported.number,
                         .file_system_arn = exported.file_system_arn,
                         .access_point_arn = exported.access_point_arn});
}

Rights AccessControl::RightsTo(const rpc::Peer& peer, const Target& target) {
  const Connection& connection = ConnectionOf(peer);
  uint64_t generation = policies_.generation();
  auto known = connection.Recall(target.file_system, target.number, generation);
  if (known && known->names != 0 && known->names != exports_.names_generation()) known.reset();
  if (known && known->until == 0) return known->rights;
  int64_t now = std::chrono::duration_cast<std::chrono::seconds>(clock_.Now()).count();
  if (known && now < known->until) return known->rights;
  policy::PolicyPtr policy = policies_.Find(target.file_system);
  bool by_time = policy && policy->depends_on_time();
  uint64_t names = exports_.names_generation();
  Verdict verdict = Decide(connection, target, policy.get(), now);
  const Rights& rights = verdict.rights;
  Connection::Decided decided{.file_system = target.file_system,
                              .number = target.number,
                              .generation = generation,
                              .until = by_time ? now + kTimeStepSeconds : 0,
                              .rights = rights};
  bool not_even_passed = target.number == 0 && !rights.mount && !rights.pass;
  if (not_even_passed) decided.names = names;  // an access point that comes may be for it
  auto before = connection.Keep(decided);
  if (!before || *before != rights) Record(peer, target, policy.get(), verdict);
  return rights;
}

void AccessControl::Record(const rpc::Peer& peer, const Target& target,
                           const policy::Policy* policy, const Verdict& verdict) {
  const Rights& rights = verdict.rights;
  if (!rights.mount && rights.pass) return;  // on its way to an access point
  const Facts& facts = ConnectionOf(peer).facts();
  std::string reason =
      verdict.mount ? policy::Explain(policy, policy::Action::kMount, *verdict.mount)
                    : "its certificate is for " +
                          (facts.access_point.empty() ? facts.file_system : facts.access_point);
  journal_.Add(
      {.granted = rights.mount,
       .layer = verdict.mount ? audit::Layer::kPolicy : audit::Layer::kIdentity,
       .reason = std::move(reason),
       .file_system_id = std::string(policy::IdOfArn(target.file_system_arn)),
       .access_point_id = std::string(policy::IdOfArn(target.access_point_arn)),
       .service_account = facts.account_name.empty() ? facts.aws_principal : facts.account_name,
       .pod = facts.pod_name,
       .address = peer.address,
       .transport = TransportOf(peer),
       .write = rights.write,
       .root = rights.root});
}

AccessControl::Verdict AccessControl::Decide(const Connection& connection, const Target& target,
                                             const policy::Policy* policy, int64_t now) {
  const Facts& facts = connection.facts();
  bool elsewhere = (!facts.file_system.empty() &&
                    policy::IdOfArn(target.file_system_arn) != facts.file_system) ||
                   (!facts.access_point.empty() &&
                    policy::IdOfArn(target.access_point_arn) != facts.access_point);
  if (elsewhere) {
    return {.rights = {.mount = false, .write = false, .root = false, .pass = false}};
  }
  policy::Request request{.service_account = facts.account_name,
                          .issuer = facts.issuer,
                          .pod = facts.pod_name,
                          .groups = facts.groups,
                          .aws_principal = facts.aws_principal,
                          .source_ip = facts.source_ip,
                          .secure_transport = facts.secure_transport,
                          .file_system_arn = target.file_system_arn,
                          .access_point_arn = target.access_point_arn,
                          .now_seconds = now};
  policy::Rights allowed = policy::Decide(policy, request);
  Verdict verdict{
      .rights = {.mount = allowed.mount(), .write = allowed.write(), .root = allowed.root()},
      .mount = allowed.of(policy::Action::kMount)};
  if (verdict.rights.mount || target.number != 0) return verdict;
  verdict.rights.pass = exports_.AnyAccessPoint(target.file_system, [&](const std::string& name) {
    auto arn = policy::AccessPointArnBeside(target.file_system_arn, name);
    if (!arn) return false;
    request.access_point_arn = *arn;
    return policy::Decide(policy, request).mount();
  });
  return verdict;
}

void AccessControl::SettleGroups(vfs::Caller& caller) {
  if (!trusted_.user_groups) return;
  auto groups = trusted_.user_groups();
  if (groups) groups->Apply(caller.uid, caller.gid, caller.gids);
}

}  // namespace tarn::access
