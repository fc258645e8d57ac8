#include "csi/node/pod_mounts.h"

#include <sys/mount.h>

#include <algorithm>
#include <filesystem>

#include "common/files.h"
#include "common/ids.h"
#include "common/log.h"
#include "common/text.h"
#include "common/tls/identity_certificate.h"
#include "common/version.h"
#include "csi/mount/nfs_mount.h"

namespace tarn::csi {
namespace {

constexpr std::string_view kIdPrefix = "csi.";
constexpr size_t kIdHashDigits = 24;
constexpr size_t kPodUidBytesMax = 64;

// What the ids of all mounts of a pod begin with; of an id without a pod, all of it.
std::string PodOf(const std::string& id) {
  size_t dot = id.rfind('.');
  return dot < kIdPrefix.size() ? id : id.substr(0, dot + 1);
}

std::chrono::sys_seconds NowOf(const Clock& clock) {
  return std::chrono::sys_seconds(std::chrono::duration_cast<std::chrono::seconds>(clock.Now()));
}

bool IsLoopback(const std::string& address) {
  return address.starts_with("127.") || address.starts_with("[::1]");
}

// How long a certificate is good: as the token in it, if there is one.
struct Validity {
  std::chrono::seconds valid_for;
  bool by_token = false;
};

Result<Validity> ValidityOf(const Pod& pod, std::chrono::sys_seconds now) {
  Validity validity{tls::kValidAfter};
  if (!pod.token || !pod.token->expires) return validity;
  auto left = *pod.token->expires - now;
  if (left <= std::chrono::seconds(0)) {
    return Error(Code::kUnauthenticated,
                 "the token of " + pod.Describe() + " has expired; kubelet must give a new one");
  }
  if (left < validity.valid_for) validity = {left, true};
  return validity;
}

std::string HowToAskWhy(const Pod& pod) {
  if (pod.name.empty()) return "tarnctl whynot POD CLAIM";
  return "tarnctl whynot " + pod.name + " CLAIM -n " + pod.ns;
}

std::string ServerOf(const MountEntry& mount) {
  auto server = MountedServer(mount);
  return server.ok() ? std::move(server).value() : "";
}

// A certificate with an access point's id leads into it: there, the way begins.
std::string ExportOf(const VolumeId& id) {
  return VolumeId{id.file_system_id, id.subpath, ""}.ExportPath();
}

// A mount of the volume that was made before volumes were encrypted.
bool IsPlainMountOf(const MountEntry& mount, const std::string& server, const VolumeId& id) {
  return !server.empty() && !IsLoopback(server) && IsMountOf(mount, server, id.ExportPath());
}

}  // namespace

PodMounts::PodMounts(Host& host, Mounter& mounter, Tunnel& tunnel, const Planner& planner,
                     PodMountsOptions options, const Clock& clock)
    : host_(host),
      mounter_(mounter),
      tunnel_(tunnel),
      planner_(planner),
      options_(std::move(options)),
      clock_(clock),
      records_(options_.records_dir) {}

std::string PodMounts::MountId(const std::string& target) const {
  std::string id(kIdPrefix);
  if (target.starts_with(options_.pods_dir + "/")) {
    std::string uid = target.substr(options_.pods_dir.size() + 1);
    uid = uid.substr(0, uid.find('/'));
    bool plain =
        uid.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
    if (plain && uid.size() <= kPodUidBytesMax) id += uid + ".";
  }
  return id + Sha256Hex(target).substr(0, kIdHashDigits);
}

Result<PodMounts::Identity> PodMounts::Identify(const PublishRequest& request,
                                                const Plan& plan) const {
  if (plan.options.iam && !request.pod.token) {
    return Error(Code::kWrongState,
                 "mount option 'iam' needs the pod's token, which kubelet did not give: the "
                 "CSIDriver's tokenRequests must name the audience '" +
                     std::string(kTokenAudience) + "'");
  }
  auto authority = ReadSmallFile(options_.authority_file);
  if (!authority.ok() || authority->empty()) {
    return Error(Code::kUnavailable,
                 "the authority of NFS TLS is not there yet: ConfigMap tarn-nfs-ca, key ca.crt, "
                 "which the operator makes, at '" +
                     options_.authority_file +
                     "'; until then only volumes with encryptInTransit "
                     "\"false\" can be mounted");
  }
  Identity identity;
  auto& open = identity.request;
  open.id = MountId(request.target_path);
  TRY(std::string server, planner_.Server(plan));
  TRY(HostPort at, SplitHostPort(server));  // a mount target's IP may come without a port
  open.server = JoinHostPort(at);
  open.server_name = NfsServerName(plan.id.file_system_id);
  open.authority_pem = std::move(authority).value();
  std::string all = plan.id.access_point_id;
  for (const std::string* part : {&open.server, &open.server_name, &open.authority_pem}) {
    all += '\0' + *part;
  }
  if (request.pod.token) all += '\0' + request.pod.token->text;
  identity.of = Sha256Hex(all);
  return identity;
}

bool PodMounts::IsFresh(const std::string& id, const std::string& of) {
  std::lock_guard guard(mu_);
  auto found = made_.find(id);
  return found != made_.end() && found->second.of == of && NowOf(clock_) < found->second.renew_at;
}

Result<std::string> PodMounts::Open(const PublishRequest& request, const Plan& plan,
                                    Identity identity) {
  auto& open = identity.request;
  auto now = NowOf(clock_);
  TRY(Validity validity, ValidityOf(request.pod, now));
  tls::NewCertificate wanted;
  wanted.now = now;
  wanted.valid_after = validity.valid_for;
  wanted.identity.file_system_id = plan.id.file_system_id;
  if (!plan.id.access_point_id.empty()) wanted.identity.access_point_id = plan.id.access_point_id;
  wanted.identity.client_info = tls::ClientInfo{"tarn-csi", kVersion};
  if (request.pod.token) wanted.identity.token = request.pod.token->text;
  TRY(open.key_pem, tls::NewPrivateKey());
  TRY(open.certificate_pem, tls::MakeIdentityCertificate(open.key_pem, wanted));
  TRY(std::string address, tunnel_.Open(open));
  // With the same token a new certificate would end no later.
  auto life = validity.by_token ? validity.valid_for : validity.valid_for * 2 / 3;
  std::lock_guard guard(mu_);
  made_[open.id] = {identity.of, now + life};
  return address;
}

Result<void> PodMounts::CheckSingleWriter(const PublishRequest& request,
                                          const std::vector<MountEntry>& mounts) const {
  if (!request.single_writer) return Ok();
  for (const auto& record : records_.ReadAll()) {
    if (record.stage.volume_id != request.stage.volume_id) continue;
    if (record.target_path == request.target_path) continue;
    if (!FindMount(mounts, record.target_path)) continue;
    return Error(Code::kWrongState, "volume '" + request.stage.volume_id +
                                        "' is for a single writer (ReadWriteOncePod) and already "
                                        "published at '" +
                                        record.target_path + "'");
  }
  return Ok();
}

Error PodMounts::Explain(const Error& error, const PublishRequest& request, const Plan& plan) {
  std::string why;
  auto open = tunnel_.List();
  const std::string id = MountId(request.target_path);
  for (const auto& mount : open.ok() ? *open : std::vector<Tunnel::Mount>()) {
    if (mount.id == id) why = mount.last_error;
  }
  std::string text = error.message();
  if (error.code() == Code::kDenied) {
    text = "access denied: the policy of file system " + plan.id.file_system_id + " does not let " +
           request.pod.Describe() + " mount it, or its identity is not accepted; run '" +
           HowToAskWhy(request.pod) + "'. " + text;
  }
  if (!why.empty()) text += "; the connection to the server failed: " + why;
  return Error(error.code(), text);
}

Result<void> PodMounts::MountAt(const PublishRequest& request, const Plan& plan,
                                const std::string& address) {
  MountRequest mount{address, ExportOf(plan.id), request.target_path, plan.options,
                     MountId(request.target_path)};
  if (request.read_only) mount.options.flags |= MS_RDONLY;
  TRY(mounter_.Mount(mount, options_.mount_deadline));
  spdlog::info("volume {} mounted for {} at {} by {}, through TLS", request.stage.volume_id,
               request.pod.Describe(), request.target_path, mounter_.name());
  return Ok();
}

bool PodMounts::IsCarriedByAnother(const std::string& id, const Plan& plan,
                                   const std::string& connected) {
  auto open = tunnel_.List();
  if (!open.ok()) return false;
  auto found = std::find_if(open->begin(), open->end(), [&](const auto& other) {
    return other.address == connected && other.id != id && PodOf(other.id) == PodOf(id) &&
           other.server_name == NfsServerName(plan.id.file_system_id);
  });
  if (found == open->end()) return false;
  // A tunnel that lost its mounts gives addresses anew: what was this one's may now lead to
  // another access point.
  for (const auto& record : records_.ReadAll()) {
    if (MountId(record.target_path) != found->id) continue;
    auto other = planner_.Make(record.stage);
    return other.ok() && other->id.access_point_id == plan.id.access_point_id;
  }
  return true;  // unpublished, and open only because others of the pod use it
}

Result<void> PodMounts::Publish(const PublishRequest& request, const Plan& plan) {
  bool left = false;
  Result<void> done = PublishLocked(request, plan, left);
  if (left) CloseIfIdle(MountId(request.target_path), kLockWait);
  return done;
}

Result<void> PodMounts::PublishLocked(const PublishRequest& request, const Plan& plan, bool& left) {
  const std::string& target = request.target_path;
  const std::string id = MountId(target);
  TRY(auto hold, locks_.Take(id, kLockWait));
  TRY(auto mounts, host_.Mounts());
  auto mount = FindMount(mounts, target);
  std::string connected = mount ? ServerOf(*mount) : "";
  bool plain = mount && IsPlainMountOf(*mount, connected, plan.id);
  if (plain || IsLoopback(connected)) {
    bool wanted = request.read_only || (plan.options.flags & MS_RDONLY) != 0;
    if (mount->read_only() != wanted) {
      return Error(Code::kAlreadyExists, "volume '" + request.stage.volume_id +
                                             "' is published at '" + target +
                                             "' with another readonly than asked for");
    }
    if (plain) return Ok();  // the pod keeps what it has
  }
  TRY(Identity identity, Identify(request, plan));
  if (!connected.empty() && IsFresh(id, identity.of)) return Ok();
  TRY(CheckSingleWriter(request, mounts));
  TRY(records_.Write(target, {request.stage, target, request.read_only}));
  auto address = Open(request, plan, std::move(identity));
  if (address.ok() && mount) {
    bool there = connected == *address || IsCarriedByAnother(id, plan, connected);
    if (there && host_.Check(target).code() != Code::kStale) return Ok();
    spdlog::warn("volume {}: the mount at {} is dead, or of something else; mounting it again",
                 request.stage.volume_id, target);
    TRY(host_.Unmount(target, false));
  }
  auto done = address.ok() ? MountAt(request, plan, *address) : std::move(address).error();
  if (done.ok()) return Ok();
  Error error = Explain(done.error(), request, plan);
  left = !mount;
  if (left) Forget(target);
  return error;
}

Result<void> PodMounts::Unpublish(const std::string& target) {
  bool ours = false;
  {
    // So that no repair mounts it again meanwhile.
    TRY(auto hold, locks_.Take(MountId(target), kLockWait));
    ours = records_.Has(target);
    TRY(host_.Unmount(target, true));
    if (ours) Forget(target);
  }
  if (ours) CloseIfIdle(MountId(target), kLockWait);
  return Ok();
}

void PodMounts::Forget(const std::string& target) {
  records_.Remove(target);
  std::lock_guard guard(mu_);
  made_.erase(MountId(target));
}

std::set<std::string> PodMounts::PodsOf(const std::vector<MountEntry>& mounts) const {
  std::set<std::string> pods;
  for (const auto& mount : mounts) {
    if (IsLoopback(ServerOf(mount))) pods.insert(PodOf(MountId(mount.target)));
  }
  return pods;
}

void PodMounts::CloseIfIdle(const std::string& id, std::chrono::milliseconds wait) {
  auto open = tunnel_.List();
  if (!open.ok()) {
    spdlog::warn("{} stays open: {}", id, open.error().message());
    return;
  }
  std::set<std::string> ids;  // in order, as everybody takes their locks
  for (const auto& mount : *open) {
    if (PodOf(mount.id) == PodOf(id)) ids.insert(mount.id);
  }
  std::vector<VolumeLocks::Hold> holds;
  for (const auto& one : ids) {
    auto hold = locks_.Take(one, wait);
    if (!hold.ok()) return;  // it is being published, and may use any of them
    holds.push_back(std::move(hold).value());
  }
  auto mounts = host_.Mounts();
  if (!mounts.ok() || PodsOf(*mounts).contains(PodOf(id))) return;
  for (const auto& one : ids) {
    auto closed = tunnel_.Close(one);
    spdlog::info("closed {}, which carries no mount{}", one,
                 closed.ok() ? "" : ": " + closed.error().message());
  }
}

Result<bool> PodMounts::RepairOne(const VolumeRecord& record, std::map<std::string, int>& silent) {
  const std::string& target = record.target_path;
  const std::string id = MountId(target);
  TRY(auto hold, locks_.Take(id));
  if (!records_.Has(target)) return false;  // unpublished since the records were read
  TRY(auto mounts, host_.Mounts());
  auto mount = FindMount(mounts, target);
  if (!mount) {  // after a restart of the machine: kubelet publishes what it needs
    records_.Remove(target);
    return false;
  }
  if (mount->type != "fuse.tarn") return false;  // the kernel's mounts do not die
  TRY(Plan plan, planner_.Make(record.stage));
  const std::string& server = plan.id.file_system_id;
  if (silent[server] >= kSilentMax) return false;
  Code state = host_.Check(target).code();
  if (state == Code::kDeadlineExceeded) ++silent[server];
  if (state != Code::kStale) return false;
  TRY(auto open, tunnel_.List());
  auto carries = [&](const auto& one) { return one.id == id; };
  auto found = std::find_if(open.begin(), open.end(), carries);
  if (found == open.end())
    return false;  // kubelet's next publish brings the identity for a new one
  TRY(host_.Unmount(target, false));
  TRY(MountAt({record.stage, target, record.read_only, false, {}}, plan, found->address));
  return true;
}

int PodMounts::RepairAll() {
  int repaired = 0;
  std::map<std::string, int> silent;  // by file system: its mounts that did not answer
  for (const auto& record : records_.ReadAll()) {
    Result<bool> done = RepairOne(record, silent);
    if (done.ok()) {
      repaired += *done ? 1 : 0;
    } else if (done.code() != Code::kAborted) {
      spdlog::warn("{}: repair: {}", record.target_path, done.error().message());
    }
  }
  return repaired;
}

void PodMounts::RemoveOldLogs(const std::set<std::string>& live) const {
  if (options_.log_dir.empty()) return;
  std::error_code failed;
  auto before = std::filesystem::file_time_type::clock::now() - kLogsKept;
  std::filesystem::directory_iterator at(options_.log_dir, failed), end;
  for (; !failed && at != end; at.increment(failed)) {
    bool ours = at->path().filename().string().starts_with(kIdPrefix);
    if (!ours || at->path().extension() != ".log" || live.contains(at->path().stem())) continue;
    std::error_code ignored;
    if (at->last_write_time(ignored) < before && !ignored) {
      std::filesystem::remove(at->path(), ignored);
    }
  }
}

void PodMounts::Reconcile() {
  auto open = tunnel_.List();
  auto mounts = host_.Mounts();
  if (!open.ok() || !mounts.ok()) {
    spdlog::debug("mounts through TLS are not compared: {}",
                  open.ok() ? mounts.error().message() : open.error().message());
    return;
  }
  std::set<std::string> live, listed, idle;
  for (const auto& mount : *mounts) live.insert(MountId(mount.target));
  RemoveOldLogs(live);
  const auto pods = PodsOf(*mounts);
  for (const auto& mount : *open) {
    listed.insert(mount.id);
    bool ours = mount.id.starts_with(kIdPrefix) && !pods.contains(PodOf(mount.id));
    if (ours && idle.insert(PodOf(mount.id)).second) CloseIfIdle(mount.id, {});
  }
  // A tunnel that lost one gets it again with the next publish.
  std::lock_guard guard(mu_);
  std::erase_if(made_, [&](const auto& one) { return !listed.contains(one.first); });
}

}  // namespace tarn::csi
