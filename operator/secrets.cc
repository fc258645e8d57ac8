#include "operator/secrets.h"

#include "operator/names.h"

namespace tarn::op {
namespace {

using kube::Object;
using kube::Str;

std::string DataOf(const Json& secret, const std::string& key) {
  auto bytes = kube::DecodeBase64(Str(Object(secret, "data"), key));
  return bytes.ok() ? *bytes : std::string();
}

Json SecretBody(Json metadata, const KeyPair& pair, const std::string& ca) {
  Json data = {{"tls.crt", kube::EncodeBase64(pair.certificate)},
               {"tls.key", kube::EncodeBase64(pair.key)}};
  if (!ca.empty()) data["ca.crt"] = kube::EncodeBase64(ca);
  return {{"apiVersion", "v1"},
          {"kind", "Secret"},
          {"metadata", metadata},
          {"type", "kubernetes.io/tls"},
          {"data", data}};
}

// The certificate in the secret of that metadata, made or renewed if need be.
Result<KeyPair> EnsureLeaf(Context& context, const KeyPair& ca, const Json& metadata,
                           const LeafRequest& request) {
  ObjectName name{Str(metadata, "namespace"), Str(metadata, "name")};
  auto there = context.client.Get(kSecret, name);
  if (!there.ok() && there.code() != Code::kNotFound) return there.error();
  if (there.ok()) {
    std::string owner = Str(Object(metadata, "labels"), kOwnerUidLabel);
    if (Str(Object(Object(*there, "metadata"), "labels"), kOwnerUidLabel) != owner) {
      return Error(Code::kAlreadyExists, "Secret " + name.Key() + " is somebody else's; delete it");
    }
    KeyPair pair{DataOf(*there, "tls.crt"), DataOf(*there, "tls.key")};
    if (LeafIsGood(ca.certificate, pair.certificate, request) &&
        DataOf(*there, "ca.crt") == ca.certificate)
      return pair;
  }
  TRY(KeyPair pair, MakeLeaf(ca, request));
  TRY(context.client.Apply(kSecret, SecretBody(metadata, pair, ca.certificate)));
  return pair;
}

}  // namespace

Result<KeyPair> EnsureAuthority(Context& context) {
  Json metadata = {{"name", kCaSecret}, {"namespace", context.settings.ns}};
  auto there = context.client.Get(kSecret, {context.settings.ns, kCaSecret});
  if (there.code() == Code::kNotFound) {
    TRY(KeyPair made, MakeCa("Tarn control authority"));
    // Create, not apply: were there two of us, the first one's authority stays.
    auto created = context.client.Create(kSecret, SecretBody(metadata, made, ""));
    if (!created.ok() && created.code() != Code::kAlreadyExists) return created.error();
    there = context.client.Get(kSecret, {context.settings.ns, kCaSecret});
  }
  if (!there.ok()) return there.error();
  KeyPair ca{DataOf(*there, "tls.crt"), DataOf(*there, "tls.key")};
  metadata["name"] = kClientSecret;
  TRY(KeyPair client,
      EnsureLeaf(context, ca, metadata,
                 {.common_name = "tarn-control-client", .dns_names = {}, .ip_addresses = {}}));
  context.control.SetCredentials({ca.certificate, client.certificate, client.key});
  return ca;
}

std::string ServerSecretName(const Json& fs) {
  return kube::NameOf(fs).name + "-control-tls";
}

Result<void> EnsureServerSecret(Context& context, const Json& fs, const std::string& cluster_ip) {
  TRY(KeyPair ca, EnsureAuthority(context));
  ObjectName name = kube::NameOf(fs);
  std::string host = name.name + "." + name.ns;
  LeafRequest request{.common_name = FileSystemIdOf(fs),
                      .dns_names = {host + ".svc", host + ".svc.cluster.local", host, name.name},
                      .ip_addresses = {},
                      .server = true};
  if (!cluster_ip.empty()) request.ip_addresses.push_back(cluster_ip);
  Json metadata = ChildMetadata(fs, kFileSystem, ServerSecretName(fs), Gone::kWithOwner);
  TRY(EnsureLeaf(context, ca, metadata, request));
  return Ok();
}

}  // namespace tarn::op
