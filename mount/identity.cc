#include "mount/identity.h"

#include <openssl/evp.h>
#include <pwd.h>
#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "common/files.h"
#include "common/text.h"
#include "common/tls/identity_certificate.h"
#include "mount/text.h"

namespace tarn::mount {
namespace {

constexpr const char* kKeyId = "aws_access_key_id";
constexpr const char* kKeySecret = "aws_secret_access_key";
constexpr const char* kSessionToken = "aws_session_token";

Error Missing(const std::string& why) {
  return Error(Code::kUnauthenticated, why);
}

std::string HomeOfUser() {
  const passwd* user = getpwuid(getuid());
  return user != nullptr && user->pw_dir != nullptr ? user->pw_dir : "/root";
}

std::vector<std::string> AwsFiles(const Environment& environment) {
  std::string credentials = environment("AWS_SHARED_CREDENTIALS_FILE");
  std::string config = environment("AWS_CONFIG_FILE");
  if (credentials.empty()) credentials = HomeOfUser() + "/.aws/credentials";
  if (config.empty()) config = HomeOfUser() + "/.aws/config";
  return {credentials, config};
}

std::string Joined(const std::vector<std::string>& files) {
  std::string all;
  for (const auto& file : files) all += (all.empty() ? "" : " or ") + file;
  return all;
}

std::optional<Credential> FromProfile(const IdentitySource& source) {
  for (const auto& file : source.files) {
    auto text = ReadSmallFile(file);
    if (!text.ok()) continue;
    Ini ini = ParseIni(*text);
    for (const auto& section : {source.profile, "profile " + source.profile}) {
      auto& values = ini[section];
      if (values[kKeyId].empty() || values[kKeySecret].empty()) continue;
      Credential credential;
      credential.access_key_id = values[kKeyId];
      credential.secret = SecretBytes(values[kKeySecret]);
      if (!values[kSessionToken].empty()) credential.session_token.emplace(values[kSessionToken]);
      return credential;
    }
  }
  return std::nullopt;
}

Result<Credential> FromEnvironment(const Environment& environment) {
  Credential credential;
  credential.access_key_id = environment("AWS_ACCESS_KEY_ID");
  credential.secret = SecretBytes(environment("AWS_SECRET_ACCESS_KEY"));
  std::string session = environment("AWS_SESSION_TOKEN");
  if (!session.empty()) credential.session_token.emplace(session);
  if (!credential.access_key_id.empty() && !credential.secret.empty()) return credential;
  return Missing("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not both in the environment");
}

std::string NameOfKey(const Environment& environment) {
  std::string secrets =
      environment("AWS_SECRET_ACCESS_KEY") + '\0' + environment("AWS_SESSION_TOKEN");
  std::string hash = Sha256Hex(secrets);
  WipeBytes(secrets.data(), secrets.size());
  return environment("AWS_ACCESS_KEY_ID") + "." + hash;
}

Result<Credential> FromToken(const std::string& file) {
  auto text = ReadSmallFile(file);
  if (!text.ok()) return Missing("the token of \"iam\" cannot be read: " + text.error().message());
  std::string token = Trim(*text);
  if (token.empty() || token.size() > tls::kTokenBytesMax || HasControlCharacter(token)) {
    return Missing("the file " + file + " holds no token: one JSON Web Token, of " +
                   std::to_string(tls::kTokenBytesMax) + " bytes at most, is due there");
  }
  Credential credential;
  credential.token = SecretBytes(token);
  credential.expires = ExpiryOf(token);
  return credential;
}

std::string DecodeBase64Url(std::string text) {
  for (char& c : text) {
    if (c == '-') c = '+';
    if (c == '_') c = '/';
  }
  size_t padding = (4 - text.size() % 4) % 4;
  text.append(padding, '=');
  std::string out(text.size() / 4 * 3, '\0');
  int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                             reinterpret_cast<const unsigned char*>(text.data()),
                             static_cast<int>(text.size()));
  if (size < static_cast<int>(padding)) return "";
  out.resize(static_cast<size_t>(size) - padding);
  return out;
}

}  // namespace

std::string IdentitySource::Describe() const {
  switch (kind) {
    case Kind::kToken:
      return "the token in " + token_file;
    case Kind::kProfile:
      return "the access key of profile \"" + profile + "\"";
    case Kind::kEnvironment:
      return "the access key in the environment";
    case Kind::kNobody:
      break;
  }
  return "nobody, since there is no \"iam\" option";
}

std::string ProcessEnvironment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value != nullptr ? value : "";
}

Result<IdentitySource> ChooseIdentity(const Options& options, const Environment& environment) {
  using Kind = IdentitySource::Kind;
  IdentitySource source;
  if (!options.iam) return source;
  if (!options.jwt_path.empty()) {
    source.kind = Kind::kToken;
    source.token_file = options.jwt_path;
    return source;
  }
  source.files = AwsFiles(environment);
  if (!options.profile.empty()) {
    source.kind = Kind::kProfile;
    source.profile = options.profile;
    if (FromProfile(source)) return source;
    return Missing("there is not, in " + Joined(source.files) + ", both " + kKeyId + " and " +
                   kKeySecret + " of profile \"" + options.profile + "\" (option \"awsprofile\")");
  }
  std::string token_file = environment("AWS_WEB_IDENTITY_TOKEN_FILE");
  source.profile = "default";
  if (!environment("AWS_ACCESS_KEY_ID").empty()) {
    source = IdentitySource();
    source.kind = Kind::kEnvironment;
    source.access_key = NameOfKey(environment);
  } else if (!token_file.empty()) {
    source = IdentitySource();
    source.kind = Kind::kToken;
    source.token_file = token_file;
  } else if (FromProfile(source)) {
    source.kind = Kind::kProfile;
  } else {
    return Missing(
        "the \"iam\" option needs an identity, and there is none: give a ServiceAccount token "
        "(\"jwtpath=FILE\"), a profile (\"awsprofile=NAME\"), or AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY, or a profile \"default\" in " +
        Joined(source.files));
  }
  return source;
}

Result<Credential> ReadCredential(const IdentitySource& source, const Environment& environment) {
  switch (source.kind) {
    case IdentitySource::Kind::kToken:
      return FromToken(source.token_file);
    case IdentitySource::Kind::kEnvironment:
      return FromEnvironment(environment);
    case IdentitySource::Kind::kProfile: {
      auto found = FromProfile(source);
      if (found) return std::move(found).value();
      return Missing("profile \"" + source.profile + "\" is not in " + Joined(source.files));
    }
    case IdentitySource::Kind::kNobody:
      break;
  }
  return Credential();
}

std::optional<std::chrono::sys_seconds> ExpiryOf(std::string_view token) {
  auto parts = Split(token, '.');
  if (parts.size() != 3) return std::nullopt;
  auto claims = nlohmann::json::parse(DecodeBase64Url(std::string(parts[1])), nullptr, false);
  if (!claims.is_object() || !claims.contains("exp") || !claims["exp"].is_number()) {
    return std::nullopt;
  }
  auto seconds = claims["exp"].get<double>();
  constexpr double kMax = 1e11;  // beyond any clock, and within any integer
  if (!(seconds > 0 && seconds < kMax)) return std::nullopt;
  return std::chrono::sys_seconds(std::chrono::seconds(static_cast<int64_t>(seconds)));
}

}  // namespace tarn::mount
