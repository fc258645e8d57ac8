// AccessKeys: whose signatures in client certificates count (AWS Signature Version 4, as the
// original EFS mount helper makes them).
//
// A signature (common/tls/connect_signature.h) counts for a day from its date, and 15 minutes
// before that, for clocks differ.
//
// The file:
//   {"accessKeys": [{"id": "AKIA…", "secret": "…",
//                    "principal": "arn:aws:iam::000000000000:user/backup"}]}
// and "sessionToken" for temporary keys, which are good only with it.
//
// Threads: any; immutable. Errors never hold a secret.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "common/crypto/secret_bytes.h"
#include "common/result.h"
#include "common/tls/connect_signature.h"

namespace tarn::identity {

inline constexpr size_t kAccessKeysMax = 4096;
inline constexpr std::chrono::hours kSignatureLife{24};
inline constexpr std::chrono::minutes kSignatureSkew{15};

class AccessKeys {
 public:
  static constexpr std::string_view kWhat = "the file of access keys";

  // kInvalid names the field at fault.
  static Result<std::shared_ptr<const AccessKeys>> Parse(std::string_view file);
  ~AccessKeys();

  using Signed = tls::ConnectSubject;
  // The ARN of whoever has the key. kUnauthenticated says what is wrong.
  Result<std::string> Verify(const tls::SigV4Claim& claim, const Signed& about,
                             std::chrono::sys_seconds now) const;

 private:
  struct Keys;
  explicit AccessKeys(std::unique_ptr<const Keys> keys);

  const std::unique_ptr<const Keys> keys_;
};

}  // namespace tarn::identity
