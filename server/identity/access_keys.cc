#include "server/identity/access_keys.h"

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

namespace tarn::identity {
namespace {

using nlohmann::json;

constexpr std::string_view kArnStart = "arn:aws:";

Error Refuse(const std::string& why) {
  return Error(Code::kUnauthenticated, "the signature (SigV4) " + why);
}

Result<std::string> TextField(const json& entry, const std::string& where, const char* name) {
  auto found = entry.find(name);
  bool good =
      found != entry.end() && found->is_string() && !found->get_ref<const std::string&>().empty();
  if (!good) return Error(Code::kInvalid, where + "." + name + " is missing: it is a text");
  return found->get<std::string>();
}

}  // namespace

struct AccessKeys::Keys {
  struct Key {
    SecretBytes secret;
    std::optional<SecretBytes> session_token;
    std::string principal;
  };
  std::map<std::string, Key, std::less<>> by_id;

  Result<void> Add(const json& entry, const std::string& where);
};

AccessKeys::AccessKeys(std::unique_ptr<const Keys> keys) : keys_(std::move(keys)) {}
AccessKeys::~AccessKeys() = default;

Result<void> AccessKeys::Keys::Add(const json& entry, const std::string& where) {
  if (!entry.is_object()) return Error(Code::kInvalid, where + " must be an object");
  TRY(std::string id, TextField(entry, where, "id"));
  TRY(std::string secret, TextField(entry, where, "secret"));
  TRY(std::string principal, TextField(entry, where, "principal"));
  if (!principal.starts_with(kArnStart)) {
    return Error(Code::kInvalid, where + ".principal '" + principal +
                                     "' is no ARN: write arn:aws:iam::000000000000:user/NAME");
  }
  Key key{.secret = SecretBytes(secret), .session_token = {}, .principal = std::move(principal)};
  WipeBytes(secret.data(), secret.size());
  if (entry.contains("sessionToken")) {
    TRY(std::string token, TextField(entry, where, "sessionToken"));
    key.session_token.emplace(token);
  }
  if (!by_id.emplace(id, std::move(key)).second) {
    return Error(Code::kInvalid, where + ".id is there twice: '" + id + "'");
  }
  return Ok();
}

Result<std::shared_ptr<const AccessKeys>> AccessKeys::Parse(std::string_view file) {
  json object = json::parse(file, nullptr, false);
  bool good = object.is_object() && object.contains("accessKeys") &&
              object["accessKeys"].is_array() && object["accessKeys"].size() <= kAccessKeysMax;
  if (!good) {
    return Error(Code::kInvalid, "it must be JSON with a list 'accessKeys' of at most " +
                                     std::to_string(kAccessKeysMax));
  }
  auto keys = std::make_unique<Keys>();
  size_t at = 0;
  for (const json& entry : object["accessKeys"]) {
    TRY(keys->Add(entry, "accessKeys[" + std::to_string(at++) + "]"));
  }
  return std::shared_ptr<const AccessKeys>(new AccessKeys(std::move(keys)));
}

Result<std::string> AccessKeys::Verify(const tls::SigV4Claim& claim, const Signed& about,
                                       std::chrono::sys_seconds now) const {
  if (now + kSignatureSkew < claim.date) {
    return Refuse("is of the future: are the clocks right?");
  }
  if (now > claim.date + kSignatureLife) return Refuse("is older than a day");
  auto found = keys_->by_id.find(claim.access_key_id);
  if (found == keys_->by_id.end()) {
    return Refuse("is by an access key that is not known here, '" + claim.access_key_id + "'");
  }
  const Keys::Key& key = found->second;
  bool same_session = key.session_token.has_value() == claim.session_token.has_value() &&
                      (!key.session_token || key.session_token->Equals(*claim.session_token));
  TRY(std::string due, tls::SignConnect(key.secret, claim, about));
  bool genuine = SecretBytes(due).Equals(claim.signature);
  if (!same_session || !genuine) {
    return Refuse("is not that of access key '" + claim.access_key_id +
                  "' for this certificate's key, file system and region (" +
                  std::string(about.region) + ")");
  }
  return key.principal;
}

}  // namespace tarn::identity
