#include "operator/token_issuers.h"

#include <spdlog/spdlog.h>

#include "operator/children.h"
#include "operator/names.h"

namespace tarn::op {
namespace {

using kube::Array;
using kube::Object;
using kube::Str;

// OpenID Connect Discovery 1.0, as Kubernetes serves it for its own tokens. The keys are asked of
// the API server itself: jwks_uri may be an address outside of the cluster.
const std::string kDiscoveryPath = "/.well-known/openid-configuration";
const std::string kKeysPath = "/openid/v1/jwks";
// A ConfigMap and the server's file hold 1 MiB; some keys have some hundred bytes each.
constexpr size_t kMaxFileBytes = 256 << 10;
const std::string kNobody = R"({"issuers": []})";

Error At(const std::string& path, const Error& error) {
  return Error(error.code(), "the API server's " + path + ": " + error.message());
}

bool MayPass(const Error& error) {
  return error.code() != Code::kNotFound && error.code() != Code::kDenied &&
         error.code() != Code::kInvalid;
}

}  // namespace

Result<std::string> ClusterIssuer::Read() {
  auto discovery = context_.client.GetDocument(kDiscoveryPath);
  if (!discovery.ok()) return At(kDiscoveryPath, discovery.error());
  auto keys = context_.client.GetDocument(kKeysPath);
  if (!keys.ok()) return At(kKeysPath, keys.error());
  std::string name = Str(*discovery, "issuer");
  if (name.empty()) return At(kDiscoveryPath, Error(Code::kInvalid, "it names no issuer"));
  if (Array(*keys, "keys").empty()) {
    return At(kKeysPath, Error(Code::kInvalid, "it holds no keys"));
  }
  Json issuer = {{"issuer", name},
                 {"audience", context_.settings.token_audience},
                 {"jwks", {{"keys", Array(*keys, "keys")}}}};
  std::string file = Json{{"issuers", Json::array({issuer})}}.dump(1);
  if (file.size() > kMaxFileBytes) {
    return At(kKeysPath, Error(Code::kInvalid, "it is larger than 256 KiB"));
  }
  return file;
}

Result<std::string> ClusterIssuer::File() {
  std::lock_guard lock(mutex_);
  int64_t now = context_.now_seconds();
  if (!file_.empty() && now - read_at_ < kRefreshSeconds) return file_;
  auto read = Read();
  if (read.ok()) {
    file_ = *read;
    read_at_ = now;
    return file_;
  }
  if (file_.empty()) return read.error();
  spdlog::warn("token issuers are as they were: {}", read.error().message());
  read_at_ = now;
  return file_;
}

std::string IssuersMapName(const Json& fs) {
  return kube::NameOf(fs).name + "-token-issuers";
}

Result<void> EnsureIssuersMap(Context& context, ClusterIssuer& issuer, const Json& fs,
                              StatusDraft& status) {
  Json metadata = ChildMetadata(fs, kFileSystem, IssuersMapName(fs), Gone::kWithOwner);
  TRY(std::optional<Json> there, RecentChild(context, kConfigMap, metadata));
  auto file = issuer.File();
  if (file.ok()) {
    status.RemoveCondition("TokenIssuersRead");
  } else {
    if (MayPass(file.error())) return there ? Ok() : Result<void>(file.error());
    std::string message = file.error().message() + "; pods' tokens cannot be verified";
    status.Condition("TokenIssuersRead", false, "Unreadable", message);
    context.events.Warning(fs, "TokenIssuersUnreadable", message);
    if (there) return Ok();
  }
  std::string wanted = file.ok() ? *file : kNobody;
  if (there && Str(Object(*there, "data"), kIssuersEntry) == wanted) return Ok();
  TRY(Json applied, context.client.Apply(
                        kConfigMap, {{"metadata", metadata}, {"data", {{kIssuersEntry, wanted}}}}));
  context.recent.Put(kConfigMap, applied);
  return Ok();
}

}  // namespace tarn::op
