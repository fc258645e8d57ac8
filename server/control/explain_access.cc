// DescribeAccessDecisions, ExplainAccess.
#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>

#include "common/ip_address.h"
#include "server/control/errors.h"
#include "server/control/manager.h"
#include "server/control/validate.h"
#include "server/nfs4/root_squash.h"
#include "server/policy/policy.h"
#include "server/policy/principals.h"
#include "server/vfs/permission.h"

namespace tarn::control {
namespace {

constexpr size_t kDecisionsMax = 1000;
constexpr size_t kDecisionsDefault = 100;
// A refusal that is older says nothing of now.
constexpr int64_t kRecentSeconds = 600;

constexpr std::array<std::string_view, 3> kVerdicts{"deny", "read-only",
                                                    "allow"};  // from the least on

std::string VerdictOf(bool mount, bool write) {
  return std::string(kVerdicts[mount ? (write ? 2 : 1) : 0]);
}

void AddLayer(v1::ExplainAccessResponse& response, audit::Layer layer, std::string verdict,
              std::string rule, std::string fix = {}) {
  v1::LayerVerdict& added = *response.add_layers();
  added.set_layer(audit::Name(layer));
  added.set_verdict(std::move(verdict));
  added.set_rule(std::move(rule));
  added.set_fix(std::move(fix));
}

// The least of all layers' verdicts.
void Conclude(v1::ExplainAccessResponse& response) {
  const auto* least = kVerdicts.end() - 1;
  for (const auto& layer : response.layers()) {
    least = std::min(least, std::find(kVerdicts.begin(), kVerdicts.end(), layer.verdict()));
  }
  response.set_verdict(std::string(*least));
}

std::string UserText(const vfs::Caller& caller) {
  return "uid " + std::to_string(caller.uid) + ", gid " + std::to_string(caller.gid);
}

std::string ModeText(const vfs::Attributes& attributes) {
  char mode[8];
  std::snprintf(mode, sizeof mode, "%04o", attributes.mode);
  return std::string("mode ") + mode + ", owner " + std::to_string(attributes.uid) + ":" +
         std::to_string(attributes.gid);
}

v1::AccessDecision Message(const audit::Journal::Entry& entry) {
  const audit::Access& access = entry.access;
  v1::AccessDecision message;
  message.set_sequence(entry.sequence);
  message.set_timestamp(entry.seconds);
  message.set_granted(access.granted);
  message.set_layer(audit::Name(access.layer));
  message.set_reason(access.reason);
  message.set_file_system_id(access.file_system_id);
  message.set_access_point_id(access.access_point_id);
  message.set_service_account(access.service_account);
  message.set_pod(access.pod);
  message.set_source_ip(access.address);
  message.set_transport(access.transport);
  message.set_write(access.write);
  message.set_root(access.root);
  return message;
}

// The last connection of this client, if it did not come as far as to be known.
std::optional<audit::Access> LastRefusal(const audit::Journal* journal,
                                         const v1::ExplainAccessRequest& request, int64_t now) {
  if (journal == nullptr) return std::nullopt;
  const auto entries = journal->Recent(
      {.file_system_id = request.file_system_id(), .max = audit::Journal::kRecentMax});
  for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
    const audit::Access& access = entry->access;
    if (entry->seconds < now - kRecentSeconds) return std::nullopt;
    if (access.access_point_id != request.access_point_id()) continue;
    if (!request.pod().empty() && access.pod == request.pod()) return std::nullopt;  // it was known
    if (access.granted || access.layer != audit::Layer::kIdentity) continue;
    if (request.source_ip().empty() || access.address == request.source_ip()) return access;
  }
  return std::nullopt;
}

struct Root {
  std::string what;  // "the root directory '/a' of fsap-…"
  std::optional<vfs::Attributes> attributes;
  std::string missing = {};  // why there are none
};

// The directory that a mount shows, or what it will be when it is made.
Root FindRoot(vfs::FileSystem& engine, const v1::AccessPointDescription* ap) {
  const vfs::Caller all{.uid = 0, .gid = 0, .gids = {}};
  Root root{.what = "the root directory of the file system", .attributes = {}};
  Result<vfs::Attributes> found = Error(Code::kNoEntry, "");
  if (auto top = engine.RealmRoot(vfs::kRootRealm); top.ok()) {
    found = engine.GetAttributes(all, *top);
  } else {
    found = top.error();
  }
  if (ap != nullptr) {
    const std::string& path = ap->root_directory().path();
    root.what = "the root directory '" + path + "' of " + ap->access_point_id();
    for (size_t at = 1; found.ok() && at < path.size();) {
      size_t end = std::min(path.find('/', at), path.size());
      found = engine.Lookup(all, found->id, path.substr(at, end - at));
      at = end + 1;
    }
    if (!found.ok() && found.code() == Code::kNoEntry && ap->root_directory().has_creation_info()) {
      const auto& info = ap->root_directory().creation_info();
      vfs::Attributes made;
      made.type = vfs::FileType::kDirectory;
      if (auto mode = ParsePermissions(info.permissions()); mode.ok()) made.mode = *mode;
      made.uid = info.owner_uid();
      made.gid = info.owner_gid();
      root.attributes = made;
      return root;
    }
  }
  if (found.ok()) {
    root.attributes = *found;
  } else if (found.code() == Code::kNoEntry) {
    root.missing = root.what + " is not there, and has no creation info";
  } else {
    root.missing = root.what + ": " + found.error().message();
  }
  return root;
}

// Who works with the files, in words too.
struct User {
  std::string who;
  vfs::Caller caller;
};

User UserOf(const v1::ExplainAccessRequest& request, const v1::AccessPointDescription* ap,
            const policy::Rights& rights, const std::function<void(vfs::Caller&)>& settle_groups) {
  const auto& process = request.user();
  User user{.who = "the pod's process",
            .caller = {.uid = process.uid(),
                       .gid = process.gid(),
                       .gids = {process.gids().begin(), process.gids().end()}}};
  if (ap != nullptr && ap->has_posix_user()) {
    const auto& posix = ap->posix_user();
    user = {.who = "the access point's user",
            .caller = {.uid = posix.uid(),
                       .gid = posix.gid(),
                       .gids = {posix.secondary_gids().begin(), posix.secondary_gids().end()}}};
  } else if (settle_groups) {
    settle_groups(user.caller);
    user.who += ", with the groups that the server's --user-groups gives it,";
  }
  if (!rights.root()) nfs4::SquashRoot(user.caller);
  return user;
}

void ExplainPosix(const Root& root, const User& user, v1::ExplainAccessResponse& response) {
  if (!root.attributes) {
    AddLayer(response, audit::Layer::kPosix, "deny", root.missing,
             "make the directory, or an access point with creation info");
    return;
  }
  const uint32_t allowed = vfs::Allowed(user.caller, *root.attributes);
  const bool read = (allowed & vfs::kMayExecute) != 0;  // who may not search it sees no file
  const bool write = (allowed & vfs::kMayWrite) != 0;
  std::string rule = root.what + " has " + ModeText(*root.attributes) + "; " + user.who + " is " +
                     UserText(user.caller);
  AddLayer(response, audit::Layer::kPosix, VerdictOf(read, read && write), std::move(rule),
           read && write ? ""
                         : "chown or chmod that directory, give the access point the POSIX user "
                           "that owns it, or run the pod as that user");
}

void ExplainPolicy(const policy::Policy* policy, const policy::Rights& rights,
                   v1::ExplainAccessResponse& response) {
  using policy::Action;
  const Action decisive = rights.mount() ? Action::kWrite : Action::kMount;
  std::string rule = policy::Explain(policy, decisive, rights.of(decisive));
  if (!rights.root()) {
    rule += "; " + policy::Explain(policy, Action::kRoot, rights.of(Action::kRoot));
  }
  AddLayer(
      response, audit::Layer::kPolicy, VerdictOf(rights.mount(), rights.write()), std::move(rule),
      rights.write() ? "" : "change the policy: tarnctl policy put, or FileSystem.spec.policy");
}

void ExplainNetwork(const v1::ExplainAccessRequest& request, bool may_connect,
                    v1::ExplainAccessResponse& response) {
  if (request.source_ip().empty()) {
    AddLayer(response, audit::Layer::kNetwork, "allow", "the client's address is not known");
  } else if (may_connect) {
    AddLayer(response, audit::Layer::kNetwork, "allow", request.source_ip() + " may connect");
  } else {
    AddLayer(response, audit::Layer::kNetwork, "deny",
             request.source_ip() + " is in no security group of a mount target",
             "add its range: MountTarget.spec.ingress, or tarnctl mt security-groups");
  }
}

void ExplainIdentity(const v1::ExplainAccessRequest& request,
                     const std::optional<audit::Access>& refusal,
                     v1::ExplainAccessResponse& response) {
  const std::string who = request.service_account().empty()
                              ? std::string("an anonymous client")
                              : "ServiceAccount " + request.service_account();
  if (refusal) {
    AddLayer(response, audit::Layer::kIdentity, "deny",
             "the last connection was refused: " + refusal->reason,
             "mount anew with a certificate and a token that are valid");
    return;
  }
  AddLayer(response, audit::Layer::kIdentity, "allow", who);
}

}  // namespace

Result<v1::DescribeAccessDecisionsResponse> Manager::DescribeAccessDecisions(
    const v1::DescribeAccessDecisionsRequest& request) {
  v1::DescribeAccessDecisionsResponse response;
  if (request.max_results() > kDecisionsMax) {
    return BadRequest("max_results " + std::to_string(request.max_results()) + ": at most " +
                      std::to_string(kDecisionsMax));
  }
  if (options_.decisions == nullptr) return response;
  audit::Journal::Query query{
      .after = request.after(),
      .file_system_id = request.file_system_id(),
      .pod = request.pod(),
      .denied_only = request.denied_only(),
      .max = request.max_results() == 0 ? kDecisionsDefault : request.max_results()};
  for (const auto& entry : options_.decisions->Recent(query)) {
    *response.add_decisions() = Message(entry);
  }
  response.set_last(options_.decisions->last_sequence());
  return response;
}

Result<v1::ExplainAccessResponse> Manager::ExplainAccess(const v1::ExplainAccessRequest& request) {
  policy::PolicyPtr policy;
  vfs::FileSystem* engine = nullptr;
  std::optional<v1::AccessPointDescription> ap;
  std::string fs_arn;
  std::string ap_arn;
  const std::optional<IpAddress> source = IpAddress::Parse(request.source_ip());
  if (!request.source_ip().empty() && !source) {
    return BadRequest("source_ip '" + request.source_ip() + "' is no IP address");
  }
  bool may_connect = false;
  {
    std::lock_guard lock(mutex_);
    TRY(FileSystemPtr fs, FindAvailable(request.file_system_id()));
    may_connect = fs->mount_targets.empty() && !options_.closed;
    for (const auto& [zone, id] : fs->mount_targets) {
      may_connect |= exports_.MayConnect(mount_targets_.at(id).record.tag(), source);
    }
    engine = fs->engine;
    policy = policies_.Find(fs->record.number());
    fs_arn = ArnOf(*fs);
    if (!request.access_point_id().empty()) {
      TRY(AccessPointPtr found, FindAccessPoint(request.access_point_id()));
      if (found->file_system != fs) return AccessPointNotFound(request.access_point_id());
      ap = found->record.description();
      ap_arn = ArnOf(*found);
    }
  }
  const std::string& account = request.service_account();
  std::vector<std::string> groups;
  if (!account.empty()) groups = policy::GroupsOf(account.substr(0, account.find('/')));
  const int64_t now = NowSeconds();
  const policy::Rights rights =
      policy::Decide(policy.get(), {.service_account = account,
                                    .issuer = {},
                                    .pod = request.pod(),
                                    .groups = groups,
                                    .aws_principal = {},
                                    .source_ip = source,
                                    .secure_transport = request.secure_transport(),
                                    .file_system_arn = fs_arn,
                                    .access_point_arn = ap_arn,
                                    .now_seconds = now});
  v1::ExplainAccessResponse response;
  ExplainNetwork(request, may_connect, response);
  ExplainIdentity(request, LastRefusal(options_.decisions, request, now), response);
  ExplainPolicy(policy.get(), rights, response);
  const v1::AccessPointDescription* entered = ap ? &*ap : nullptr;
  ExplainPosix(FindRoot(*engine, entered), UserOf(request, entered, rights, options_.settle_groups),
               response);
  Conclude(response);
  return response;
}

}  // namespace tarn::control
