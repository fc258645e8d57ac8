#include "operator/server_files.h"

#include "operator/children.h"
#include "operator/tls_secrets.h"
#include "server/identity/access_keys.h"
#include "server/identity/user_groups.h"

namespace tarn::op {
namespace {

using kube::Object;
using kube::Str;

template <typename File>
Result<void> CheckAs(std::string_view file) {
  TRY(auto parsed, File::Parse(file));
  (void)parsed;
  return Ok();
}

const ServerFile kFiles[] = {
    {.flag = "access-keys",
     .field = "accessKeysSecretRef",
     .secret = true,
     .title = "AccessKeys",
     .none = R"({"accessKeys": []})",
     .read = "its access keys count",
     .before = "the keys count that it had before",
     .absent = "no access key counts",
     .check = CheckAs<identity::AccessKeys>},
    // A server that is to know groups does not believe calls while it cannot.
    {.flag = "user-groups",
     .field = "userGroupsConfigMapRef",
     .secret = false,
     .title = "UserGroups",
     .none = R"({"unlisted": "none", "users": []})",
     .read = "users are in the groups that it says",
     .before = "users are in the groups that they were in, at first in none",
     .absent = nullptr,
     .check = CheckAs<identity::UserGroups>},
};

// What the server is to be given; empty: what it has. Else `why` is not empty.
struct Wanted {
  std::string text;
  std::string reason = "Read";
  std::string why = {};
};

Result<Wanted> Read(Context& context, const ServerFile& file, const ObjectName& name) {
  const std::string kind = file.Type().kind;
  const std::string at = std::string("spec.") + file.field + ": " + kind + " " + name.Key();
  auto there = context.recent.Get(file.Type(), name);
  if (!there.ok() && there.code() != Code::kNotFound) return there.error();
  const bool stays = file.absent == nullptr;
  const std::string gone = stays ? "" : file.none;
  const std::string fix = std::string("; until it has, ") + (stays ? file.before : file.absent) +
                          ": kubectl -n " + name.ns + " create " +
                          (file.secret ? "secret generic " : "configmap ") + name.name +
                          " --from-file=" + file.Entry() + "=FILE";
  if (!there.ok()) return Wanted{gone, kind + "Missing", at + " is not there" + fix};
  if (!Object(*there, "data").contains(file.Entry())) {
    return Wanted{gone, "EntryMissing", at + " has no entry " + file.Entry() + fix};
  }
  std::string text = file.In(*there);
  auto checked = file.check(text);
  if (checked.ok()) return Wanted{text};
  return Wanted{"", "Malformed",
                at + ", " + file.Entry() + ": " + checked.error().message() +
                    "; correct it: until then " + file.before};
}

Result<void> EnsureCopy(Context& context, const ServerFile& file, const Json& fs,
                        const std::string& text) {
  Json metadata = ChildMetadata(fs, kFileSystem, file.CopyName(fs), Gone::kWithOwner);
  TRY(std::optional<Json> there, RecentChild(context, file.Type(), metadata));
  const std::string wanted = text.empty() ? file.none : text;
  if (there && (text.empty() || file.In(*there) == wanted)) return Ok();
  Json data = {{file.Entry(), file.secret ? kube::EncodeBase64(wanted) : wanted}};
  TRY(Json applied, context.client.Apply(file.Type(), {{"metadata", metadata}, {"data", data}}));
  context.recent.Put(file.Type(), applied);
  return Ok();
}

Result<void> Ensure(Context& context, const ServerFile& file, const Json& fs, StatusDraft& status) {
  const std::string condition = std::string(file.title) + "Read";
  const std::string named = file.Named(fs);
  if (named.empty()) {
    // Of a file system that never had any there is no copy.
    if (kube::ConditionStatus(fs, condition).empty()) return Ok();
    TRY(EnsureCopy(context, file, fs, file.none));
    status.RemoveCondition(condition);
    return Ok();
  }
  TRY(Wanted wanted, Read(context, file, {kube::NameOf(fs).ns, named}));
  TRY(EnsureCopy(context, file, fs, wanted.text));
  if (wanted.why.empty()) {
    status.Condition(condition, true, wanted.reason,
                     std::string(file.Type().kind) + " " + named + ": " + file.read);
    return Ok();
  }
  status.Condition(condition, false, wanted.reason, wanted.why);
  context.events.Warning(fs, std::string(file.title) + "Unreadable", wanted.why);
  return Ok();
}

}  // namespace

std::string ServerFile::Named(const Json& fs) const {
  return Str(Object(Object(fs, "spec"), field), "name");
}

std::string ServerFile::CopyName(const Json& fs) const {
  return kube::NameOf(fs).name + "-nfs-" + flag;
}

std::string ServerFile::In(const Json& object) const {
  return secret ? SecretEntry(object, Entry()) : Str(Object(object, "data"), Entry());
}

std::span<const ServerFile> ServerFiles() {
  return kFiles;
}

Result<void> EnsureServerFiles(Context& context, const Json& fs, StatusDraft& status) {
  for (const ServerFile& file : ServerFiles()) TRY(Ensure(context, file, fs, status));
  return Ok();
}

}  // namespace tarn::op
