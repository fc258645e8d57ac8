#include "server/identity/token_issuers.h"

extern "C" {  // its headers do not say so themselves
#include <jose/b64.h>
#include <jose/jws.h>
}

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <vector>

namespace tarn::identity {
namespace {

using nlohmann::json;

constexpr std::string_view kAlgorithms[] = {"RS256", "RS384", "RS512", "PS256", "PS384",
                                            "PS512", "ES256", "ES384", "ES512"};
constexpr std::string_view kClusterLetters = "abcdefghijklmnopqrstuvwxyz0123456789-";
constexpr size_t kRsaBytesMin = 2048 / 8;

struct FreeJson {
  void operator()(json_t* value) const { json_decref(value); }
};
using Jansson = std::unique_ptr<json_t, FreeJson>;

// libjose tells what it does not like; by default on the standard error output.
struct FreeConfig {
  void operator()(jose_cfg_t* config) const { jose_cfg_decref(config); }
};
using Config = std::unique_ptr<jose_cfg_t, FreeConfig>;

Config Silent() {
  Config config(jose_cfg());
  auto ignore = [](void*, const char*, int, uint64_t, const char*, va_list) {};
  if (config) jose_cfg_set_err_func(config.get(), ignore, nullptr);
  return config;
}

Error Refuse(const std::string& why) {
  return Error(Code::kUnauthenticated, "the ServiceAccount token " + why);
}

// Base64url without padding (RFC 7515 section 2). False: it is none.
bool Decode(std::string_view text, std::string& bytes) {
  size_t length = jose_b64_dec_buf(nullptr, text.size(), nullptr, 0);
  if (length == SIZE_MAX) return false;
  bytes.resize(length);
  return jose_b64_dec_buf(text.data(), text.size(), bytes.data(), bytes.size()) == length;
}

// The object's string of that name; empty when there is none.
std::string Text(const json& object, const char* name) {
  if (!object.is_object()) return {};
  auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

const json& Member(const json& object, const char* name) {
  static const json kNone;
  if (!object.is_object()) return kNone;
  auto found = object.find(name);
  return found == object.end() ? kNone : *found;
}

bool Names(const json& audience, const std::string& wanted) {
  if (audience.is_string()) return audience == wanted;
  return audience.is_array() &&
         std::find(audience.begin(), audience.end(), wanted) != audience.end();
}

bool MayVerify(const json& key) {
  std::string type = Text(key, "kty");
  std::string use = Text(key, "use");
  if (!use.empty() && use != "sig") return false;
  if (type == "EC") return true;
  std::string modulus;
  return type == "RSA" && Decode(Text(key, "n"), modulus) && modulus.size() >= kRsaBytesMin;
}

// The three parts of a compact serialization (RFC 7515 section 3.1).
bool Split(std::string_view token, std::array<std::string_view, 3>& parts) {
  size_t first = token.find('.');
  size_t second = first == token.npos ? first : token.find('.', first + 1);
  if (second == token.npos || token.find('.', second + 1) != token.npos) return false;
  parts = {token.substr(0, first), token.substr(first + 1, second - first - 1),
           token.substr(second + 1)};
  return std::none_of(parts.begin(), parts.end(), [](auto part) { return part.empty(); });
}

json ParseObject(std::string_view base64) {
  std::string text;
  if (!Decode(base64, text)) return {};
  json object = json::parse(text, nullptr, false);
  return object.is_object() ? object : json();
}

// A moment in seconds since 1970 (RFC 7519 section 2, NumericDate).
bool Moment(const json& claims, const char* name, std::chrono::seconds& moment) {
  const json& value = Member(claims, name);
  constexpr double kMax = 1e12;
  if (!value.is_number() || value.get<double>() < 0 || value.get<double>() > kMax) return false;
  moment = std::chrono::seconds(static_cast<int64_t>(value.get<double>()));
  return true;
}

Result<void> CheckTimes(const json& claims, std::chrono::seconds now, ServiceAccount& account) {
  if (!Moment(claims, "exp", account.expires)) return Refuse("has no time of expiry (exp)");
  if (account.expires + kClockSkew <= now) {
    return Refuse("expired " + std::to_string((now - account.expires).count()) + " s ago");
  }
  std::chrono::seconds begins{0};
  if (claims.contains("nbf") && !Moment(claims, "nbf", begins)) return Refuse("has a bad nbf");
  if (begins > now + kClockSkew) {
    return Refuse("is not valid for another " + std::to_string((begins - now).count()) +
                  " s: are the clocks right?");
  }
  return Ok();
}

Result<void> FillIn(const json& claims, ServiceAccount& account) {
  const json& kubernetes = Member(claims, "kubernetes.io");
  account.name_space = Text(kubernetes, "namespace");
  account.name = Text(Member(kubernetes, "serviceaccount"), "name");
  account.uid = Text(Member(kubernetes, "serviceaccount"), "uid");
  account.pod = Text(Member(kubernetes, "pod"), "name");
  account.pod_uid = Text(Member(kubernetes, "pod"), "uid");
  account.node = Text(Member(kubernetes, "node"), "name");
  // Kubernetes lets no name have these; they part names in policies.
  bool odd = account.name_space.find_first_of("/:") != std::string::npos;
  if (account.name_space.empty() || account.name.empty() || odd) {
    return Refuse("names no namespace and ServiceAccount (kubernetes.io)");
  }
  // Both say it, and Kubernetes itself goes by this one.
  if (Text(claims, "sub") != account.UserName()) {
    return Refuse("has a subject (sub) that is not its ServiceAccount");
  }
  return Ok();
}

// Whose accounts an issuer's are.
Result<std::string> ClusterOf(const json& entry, bool first, const std::string& where) {
  const json& cluster = Member(entry, "cluster");
  if (first && cluster.is_null()) return std::string();
  bool good = cluster.is_string() && cluster.get_ref<const std::string&>().find_first_not_of(
                                         kClusterLetters) == std::string::npos;
  if (good) return cluster.get<std::string>();
  return Error(Code::kInvalid,
               where +
                   ".cluster must say whose accounts these are: a name of a-z, 0-9 and -, "
                   "or \"\" for this cluster's own");
}

}  // namespace

struct TokenIssuers::Issuer {
  struct Key {
    std::string id;
    std::string algorithm;  // empty: any
    Jansson key;
  };
  std::string name;
  std::string cluster;  // empty: this one
  std::string audience;
  std::vector<Key> keys;

  bool Signed(const std::array<std::string_view, 3>& parts, const std::string& key_id,
              const std::string& algorithm) const;
};

TokenIssuers::TokenIssuers() = default;
TokenIssuers::~TokenIssuers() = default;

bool TokenIssuers::Issuer::Signed(const std::array<std::string_view, 3>& parts,
                                  const std::string& key_id, const std::string& algorithm) const {
  Jansson jws(json_object());
  constexpr const char* kNames[] = {"protected", "payload", "signature"};
  for (size_t i = 0; i < parts.size(); ++i) {
    json_object_set_new(jws.get(), kNames[i], json_stringn(parts[i].data(), parts[i].size()));
  }
  Config config = Silent();
  return std::any_of(keys.begin(), keys.end(), [&](const Key& key) {
    if (!key_id.empty() && !key.id.empty() && key.id != key_id) return false;
    if (!key.algorithm.empty() && key.algorithm != algorithm) return false;
    return jose_jws_ver(config.get(), jws.get(), nullptr, key.key.get(), false);
  });
}

Result<TokenIssuers::Issuer> TokenIssuers::ParseIssuer(const std::string& entry,
                                                       const std::string& where) {
  json object = json::parse(entry, nullptr, false);
  Issuer issuer;
  issuer.name = Text(object, "issuer");
  issuer.audience = Text(object, "audience");
  if (issuer.name.empty()) {
    return Error(Code::kInvalid, where + ".issuer is missing: the iss of the cluster's tokens");
  }
  if (issuer.audience.empty()) {
    return Error(Code::kInvalid,
                 where + ".audience is missing: the one in the CSIDriver's tokenRequests");
  }
  const json& keys = Member(Member(object, "jwks"), "keys");
  if (!keys.is_array() || keys.size() > kKeysPerIssuerMax) {
    return Error(Code::kInvalid, where + ".jwks.keys must be a list of at most " +
                                     std::to_string(kKeysPerIssuerMax) + " JSON Web Keys");
  }
  for (const json& key : keys) {
    if (!MayVerify(key)) continue;
    std::string text = key.dump();
    Jansson parsed(json_loadb(text.data(), text.size(), 0, nullptr));
    if (!parsed) continue;
    issuer.keys.push_back({Text(key, "kid"), Text(key, "alg"), std::move(parsed)});
  }
  if (issuer.keys.empty()) {
    return Error(Code::kInvalid, where + ".jwks.keys has no RSA key of 2048 bits and no EC key");
  }
  return issuer;
}

Result<std::shared_ptr<const TokenIssuers>> TokenIssuers::Parse(std::string_view file) {
  if (file.size() > kIssuersFileBytesMax) {
    return Error(Code::kInvalid, "the file of token issuers is larger than 1 MiB");
  }
  json object = json::parse(file, nullptr, false);
  const json& issuers = Member(object, "issuers");
  if (!issuers.is_array() || issuers.size() > kIssuersMax) {
    return Error(Code::kInvalid,
                 "the file of token issuers must be JSON with a list 'issuers' of at most " +
                     std::to_string(kIssuersMax));
  }
  std::shared_ptr<TokenIssuers> all(new TokenIssuers);
  for (size_t i = 0; i < issuers.size(); ++i) {
    std::string where = "issuers[" + std::to_string(i) + "]";
    TRY(Issuer issuer, ParseIssuer(issuers[i].dump(), where));
    TRY(issuer.cluster, ClusterOf(issuers[i], i == 0, where));
    std::string name = issuer.name;
    auto made = std::make_unique<const Issuer>(std::move(issuer));
    if (!all->issuers_.emplace(name, std::move(made)).second) {
      return Error(Code::kInvalid, where + ".issuer is there twice: '" + name + "'");
    }
  }
  return std::shared_ptr<const TokenIssuers>(std::move(all));
}

Result<ServiceAccount> TokenIssuers::Verify(std::string_view token,
                                            std::chrono::seconds now) const {
  if (token.size() > kTokenBytesMax) return Refuse("is longer than 16 KiB");
  std::array<std::string_view, 3> parts;
  if (!Split(token, parts)) return Refuse("is no JSON Web Token of three parts");
  json header = ParseObject(parts[0]);
  json claims = ParseObject(parts[1]);
  if (!header.is_object() || !claims.is_object()) return Refuse("is no JSON Web Token");
  std::string algorithm = Text(header, "alg");
  if (std::find(std::begin(kAlgorithms), std::end(kAlgorithms), algorithm) ==
      std::end(kAlgorithms)) {
    return Refuse("is not signed with RSA or an elliptic curve (alg)");
  }
  if (header.contains("crit")) return Refuse("has extensions that nobody here knows (crit)");
  auto found = issuers_.find(Text(claims, "iss"));
  if (found == issuers_.end()) {
    return Refuse("is of an issuer (iss) that is not among the trusted ones");
  }
  const Issuer& issuer = *found->second;
  if (!issuer.Signed(parts, Text(header, "kid"), algorithm)) {
    return Refuse("is not signed by a key of its issuer, '" + issuer.name + "'");
  }
  if (!Names(Member(claims, "aud"), issuer.audience)) {
    return Refuse("is not for the audience '" + issuer.audience + "'");
  }
  ServiceAccount account;
  account.issuer = issuer.name;
  account.cluster = issuer.cluster;
  TRY(CheckTimes(claims, now, account));
  TRY(FillIn(claims, account));
  return account;
}

}  // namespace tarn::identity
