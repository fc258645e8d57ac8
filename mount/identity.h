// Identity: who a mount with "iam" is: a Kubernetes ServiceAccount, by its token in a file, or the
// owner of an AWS access key. A source says where that is read from, and can be stored; a
// credential is what was read, and is never stored, logged or told.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/crypto/secret_bytes.h"
#include "common/result.h"
#include "mount/options.h"

namespace tarn::mount {

struct IdentitySource {
  enum class Kind { kNobody, kToken, kProfile, kEnvironment };
  Kind kind = Kind::kNobody;
  std::string token_file;          // of kToken
  std::string profile;             // of kProfile
  std::vector<std::string> files;  // of kProfile: credentials, then config
  // Of kEnvironment: the access key's id, and a hash of its secret and session token. Nothing can
  // be read from there; it tells one key from another.
  std::string access_key;

  // For messages: "the token in FILE", "the access key of profile NAME".
  std::string Describe() const;
};

// A variable's value; "" when it is not set.
using Environment = std::function<std::string(const std::string&)>;
std::string ProcessEnvironment(const std::string& name);

// The first that there is: "jwtpath"; "awsprofile"; AWS_ACCESS_KEY_ID and its secret in the
// environment; the token that AWS_WEB_IDENTITY_TOKEN_FILE names; the profile "default" of the AWS
// files. Without "iam" it is nobody. kUnauthenticated: there is none.
Result<IdentitySource> ChooseIdentity(const Options& options, const Environment& environment);

struct Credential {
  SecretBytes token;  // empty: the three below
  std::string access_key_id;
  SecretBytes secret;
  std::optional<SecretBytes> session_token;
  std::optional<std::chrono::sys_seconds> expires;  // of the token, as it says itself
};

// kUnauthenticated: it cannot be read, or is none.
Result<Credential> ReadCredential(const IdentitySource& source, const Environment& environment);

// The claim "exp" of a JSON Web Token, which is not verified here; nullopt: it has none.
std::optional<std::chrono::sys_seconds> ExpiryOf(std::string_view token);

}  // namespace tarn::mount
