#include "operator/control_tls.h"

#include "common/control_role.h"
#include "operator/names.h"
#include "operator/tls_secrets.h"

namespace tarn::op {
namespace {

// A program is known by its Secret's name, which is in the audit lines of servers.
Result<KeyPair> EnsureClient(Context& context, const KeyPair& ca, const std::string& secret,
                             ControlRole role) {
  Json metadata = {{"name", secret}, {"namespace", context.settings.ns}};
  return EnsureLeaf(
      context, ca, ca.certificate, metadata,
      {.common_name = secret, .dns_names = {}, .ip_addresses = {}, .uris = {UriOf(role)}});
}

}  // namespace

Result<KeyPair> EnsureAuthority(Context& context) {
  TRY(Json secret, EnsureAuthoritySecret(context, kCaSecret, "Tarn control authority"));
  KeyPair ca{SecretEntry(secret, "tls.crt"), SecretEntry(secret, "tls.key")};
  if (auto life = LifeOfCa(ca); !life.ok()) {
    return Error(life.code(), "Secret " + kCaSecret + ": " + life.error().message() +
                                  "; delete it to have it made anew");
  }
  TRY(EnsureClient(context, ca, kProvisionerClientSecret, ControlRole::kProvisioner));
  TRY(EnsureClient(context, ca, kAdminClientSecret, ControlRole::kAdmin));
  TRY(KeyPair client, EnsureClient(context, ca, kOperatorClientSecret, ControlRole::kOperator));
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
  TRY(EnsureLeaf(context, ca, ca.certificate, metadata, request));
  return Ok();
}

}  // namespace tarn::op
