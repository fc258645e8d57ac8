#include "operator/nfs_tls.h"

#include <spdlog/spdlog.h>

#include "common/ids.h"
#include "common/ip_address.h"
#include "operator/names.h"
#include "operator/references.h"
#include "operator/tls_secrets.h"

namespace tarn::op {
namespace {

using kube::Object;
using kube::Str;

// Steps of one call: a rotation has three, and one may be somebody else's.
constexpr int kMaxSteps = 4;

Json Encoded(const std::string& text) {
  return kube::EncodeBase64(text);
}

KeyPair PairIn(const Json& secret, const std::string& name) {
  return {SecretEntry(secret, name + ".crt"), SecretEntry(secret, name + ".key")};
}

Error Broken(const Error& error, const char* entry) {
  return Error(error.code(), "Secret " + kNfsCa + ": " + error.message() + " (" + entry +
                                 "); delete the Secret to have it made anew");
}

// The merge patch that is the next step of a rotation; null: none is due.
Result<Json> NextStep(const Json& secret, int64_t now) {
  auto life = LifeOfCa(PairIn(secret, "tls"));
  if (!life.ok()) return Broken(life.error(), "tls");
  KeyPair next = PairIn(secret, "next");
  if (!next.certificate.empty()) {
    auto next_life = LifeOfCa(next);
    if (!next_life.ok()) return Broken(next_life.error(), "next");
    if (now < next_life->made_at + kNfsCaOverlapSeconds) return Json();
    spdlog::info("NFS TLS: the new authority signs from now on");
    return Json{{"data",
                 {{"tls.crt", Encoded(next.certificate)},
                  {"tls.key", Encoded(next.key)},
                  {"previous.crt", Encoded(SecretEntry(secret, "tls.crt"))},
                  {"next.crt", nullptr},
                  {"next.key", nullptr}}}};
  }
  if (!SecretEntry(secret, "previous.crt").empty() &&
      now >= life->made_at + 2 * kNfsCaOverlapSeconds) {
    spdlog::info("NFS TLS: the old authority is not trusted any more");
    return Json{{"data", {{"previous.crt", nullptr}}}};
  }
  const Json& notes = Object(Object(secret, "metadata"), "annotations");
  if (!notes.contains(kRotateAnnotation) && life->ends_at - now > kCaLifeSeconds / 3) return Json();
  TRY(KeyPair made, MakeCa("Tarn NFS authority", now));
  spdlog::info("NFS TLS: a new authority is published; it signs in {} days",
               kNfsCaOverlapSeconds / 86400);
  return Json{{"metadata", {{"annotations", {{kRotateAnnotation, nullptr}}}}},
              {"data", {{"next.crt", Encoded(made.certificate)}, {"next.key", Encoded(made.key)}}}};
}

Result<Json> Rotated(Context& context) {
  for (int i = 0; i < kMaxSteps; ++i) {
    TRY(Json secret, EnsureAuthoritySecret(context, kNfsCa, "Tarn NFS authority"));
    TRY(Json step, NextStep(secret, context.now_seconds()));
    if (step.is_null()) return secret;
    // On the version that was read: another of us may be here.
    step["metadata"]["resourceVersion"] = Str(Object(secret, "metadata"), "resourceVersion");
    auto done = context.client.MergePatch(kSecret, {context.settings.ns, kNfsCa}, step);
    context.recent.Forget(kSecret, {context.settings.ns, kNfsCa});
    if (!done.ok() && done.code() != Code::kAborted && done.code() != Code::kNotFound) {
      return done.error();
    }
  }
  return Error(Code::kAborted, "Secret " + kNfsCa + " changes faster than it can be read");
}

Result<void> Publish(Context& context, const std::string& trusted) {
  auto there = context.registry.Find({context.settings.ns, kNfsCa});
  if (there && Str(Object(*there, "data"), "ca.crt") == trusted) return Ok();
  TRY(context.client.Apply(
      kConfigMap,
      {{"metadata",
        {{"name", kNfsCa},
         {"namespace", context.settings.ns},
         {"labels", {{kManagedByLabel, kManagedBy}, {"app.kubernetes.io/part-of", "tarn"}}}}},
       {"data", {{"ca.crt", trusted}}}}));
  return Ok();
}

void AddService(const std::string& name, const std::string& ns, LeafRequest& request) {
  std::string host = name + "." + ns;
  for (const char* suffix : {"", ".svc", ".svc.cluster.local"}) {
    request.dns_names.push_back(host + suffix);
  }
}

// An IP address, or the name of a load balancer.
void AddAddress(const std::string& address, LeafRequest& request) {
  if (address.empty()) return;
  bool ip = IpAddress::Parse(address).has_value();
  (ip ? request.ip_addresses : request.dns_names).push_back(address);
}

LeafRequest RequestOf(Context& context, const Json& fs, const std::string& cluster_ip) {
  ObjectName name = kube::NameOf(fs);
  std::string id = FileSystemIdOf(fs);
  LeafRequest request{
      .common_name = id, .dns_names = {NfsServerName(id)}, .ip_addresses = {}, .server = true};
  AddService(name.name, name.ns, request);
  AddAddress(cluster_ip, request);
  for (const Json& mt : MountTargetsOf(context, fs)) {
    if (request.dns_names.size() + request.ip_addresses.size() >= kMaxNfsNames) break;
    AddService(kube::NameOf(mt).name + "-nfs", kube::NameOf(mt).ns, request);
    std::string ip = Str(Object(mt, "status"), "clusterIp");
    std::string outside = Str(Object(mt, "status"), "ipAddress");
    AddAddress(ip, request);
    if (outside != ip) AddAddress(outside, request);
  }
  return request;
}

}  // namespace

Result<NfsAuthority> EnsureNfsAuthority(Context& context) {
  TRY(Json secret, Rotated(context));
  NfsAuthority out{.signer = PairIn(secret, "tls"), .trusted = {}};
  out.trusted = out.signer.certificate + SecretEntry(secret, "next.crt") +
                SecretEntry(secret, "previous.crt");
  TRY(Publish(context, out.trusted));
  return out;
}

std::string NfsSecretName(const Json& fs) {
  return kube::NameOf(fs).name + "-nfs-tls";
}

Result<void> EnsureNfsSecret(Context& context, const Json& fs, const std::string& cluster_ip) {
  TRY(NfsAuthority ca, EnsureNfsAuthority(context));
  Json metadata = ChildMetadata(fs, kFileSystem, NfsSecretName(fs), Gone::kWithOwner);
  TRY(EnsureLeaf(context, ca.signer, ca.trusted, metadata, RequestOf(context, fs, cluster_ip)));
  return Ok();
}

}  // namespace tarn::op
