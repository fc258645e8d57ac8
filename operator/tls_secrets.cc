#include "operator/tls_secrets.h"

#include "operator/children.h"
#include "operator/names.h"

namespace tarn::op {
namespace {

using kube::Object;
using kube::Str;

Json SecretBody(const Json& metadata, const KeyPair& pair, const std::string& ca) {
  Json data = {{"tls.crt", kube::EncodeBase64(pair.certificate)},
               {"tls.key", kube::EncodeBase64(pair.key)}};
  if (!ca.empty()) data["ca.crt"] = kube::EncodeBase64(ca);
  return {{"apiVersion", "v1"},
          {"kind", "Secret"},
          {"metadata", metadata},
          {"type", "kubernetes.io/tls"},
          {"data", data}};
}

}  // namespace

std::string SecretEntry(const Json& secret, const std::string& key) {
  auto bytes = kube::DecodeBase64(Str(Object(secret, "data"), key));
  return bytes.ok() ? *bytes : std::string();
}

Result<Json> EnsureAuthoritySecret(Context& context, const std::string& name,
                                   const std::string& common_name) {
  ObjectName full{context.settings.ns, name};
  auto there = context.recent.Get(kSecret, full);
  if (there.code() != Code::kNotFound) return there;
  TRY(KeyPair made, MakeCa(common_name, context.now_seconds()));
  // Create, not apply: were there two of us, the first one's authority stays.
  Json metadata = {{"name", name}, {"namespace", context.settings.ns}};
  auto created = context.client.Create(kSecret, SecretBody(metadata, made, ""));
  if (created.ok() || created.code() != Code::kAlreadyExists) return created;
  return context.client.Get(kSecret, full);
}

Result<KeyPair> EnsureLeaf(Context& context, const KeyPair& ca, const std::string& ca_bundle,
                           const Json& metadata, const LeafRequest& request) {
  int64_t now = context.now_seconds();
  TRY(std::optional<Json> there, RecentChild(context, kSecret, metadata));
  if (there) {
    KeyPair pair{SecretEntry(*there, "tls.crt"), SecretEntry(*there, "tls.key")};
    if (LeafIsGood(ca.certificate, pair.certificate, request, now) &&
        SecretEntry(*there, "ca.crt") == ca_bundle) {
      return pair;
    }
  }
  TRY(KeyPair pair, MakeLeaf(ca, request, now));
  TRY(Json applied, context.client.Apply(kSecret, SecretBody(metadata, pair, ca_bundle)));
  context.recent.Put(kSecret, applied);
  return pair;
}

}  // namespace tarn::op
