#include "operator/access_keys.h"

#include "operator/children.h"
#include "operator/names.h"
#include "operator/tls_secrets.h"
#include "server/identity/access_keys.h"

namespace tarn::op {
namespace {

using kube::Object;
using kube::Str;

constexpr const char* kCondition = "AccessKeysRead";
const std::string kNoKeys = R"({"accessKeys": []})";

// What the server is to be given; empty: what it has. Else `why` is not empty.
struct Wanted {
  std::string file;
  const char* reason = "Read";
  std::string why = {};
};

Result<Wanted> Read(Context& context, const ObjectName& name) {
  std::string at = "spec.accessKeysSecretRef: Secret " + name.Key();
  auto there = context.recent.Get(kSecret, name);
  if (!there.ok() && there.code() != Code::kNotFound) return there.error();
  std::string fix = "; until it has, no access key counts: kubectl -n " + name.ns +
                    " create secret generic " + name.name + " --from-file=" + kAccessKeysEntry +
                    "=FILE";
  if (!there.ok()) return Wanted{kNoKeys, "SecretMissing", at + " is not there" + fix};
  if (!Object(*there, "data").contains(kAccessKeysEntry)) {
    return Wanted{kNoKeys, "EntryMissing", at + " has no entry " + kAccessKeysEntry + fix};
  }
  std::string file = SecretEntry(*there, kAccessKeysEntry);
  auto parsed = identity::AccessKeys::Parse(file);
  if (parsed.ok()) return Wanted{file};
  return Wanted{"", "Malformed",
                at + ", " + kAccessKeysEntry + ": " + parsed.error().message() +
                    "; correct it: until then the keys count that it had before"};
}

Result<void> EnsureCopy(Context& context, const Json& fs, const std::string& file) {
  Json metadata = ChildMetadata(fs, kFileSystem, AccessKeysCopyName(fs), Gone::kWithOwner);
  TRY(std::optional<Json> there, RecentChild(context, kSecret, metadata));
  const std::string& wanted = file.empty() ? kNoKeys : file;
  if (there && (file.empty() || SecretEntry(*there, kAccessKeysEntry) == wanted)) return Ok();
  Json data = {{kAccessKeysEntry, kube::EncodeBase64(wanted)}};
  TRY(Json applied, context.client.Apply(kSecret, {{"metadata", metadata}, {"data", data}}));
  context.recent.Put(kSecret, applied);
  return Ok();
}

}  // namespace

std::string AccessKeysSecretOf(const Json& fs) {
  return Str(Object(Object(fs, "spec"), "accessKeysSecretRef"), "name");
}

std::string AccessKeysCopyName(const Json& fs) {
  return kube::NameOf(fs).name + "-nfs-access-keys";
}

Result<void> EnsureAccessKeys(Context& context, const Json& fs, StatusDraft& status) {
  std::string secret = AccessKeysSecretOf(fs);
  if (secret.empty()) {
    // Of a file system that never had any there is no copy.
    if (kube::ConditionStatus(fs, kCondition).empty()) return Ok();
    TRY(EnsureCopy(context, fs, kNoKeys));
    status.RemoveCondition(kCondition);
    return Ok();
  }
  TRY(Wanted wanted, Read(context, {kube::NameOf(fs).ns, secret}));
  TRY(EnsureCopy(context, fs, wanted.file));
  if (wanted.why.empty()) {
    status.Condition(kCondition, true, wanted.reason,
                     "the access keys of Secret " + secret + " count");
    return Ok();
  }
  status.Condition(kCondition, false, wanted.reason, wanted.why);
  context.events.Warning(fs, "AccessKeysUnreadable", wanted.why);
  return Ok();
}

}  // namespace tarn::op
