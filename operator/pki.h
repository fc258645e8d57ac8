// A small certificate authority: ECDSA P-256, X.509 v3. All times: seconds since 1970.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/result.h"

namespace tarn::op {

struct KeyPair {
  std::string certificate;  // PEM
  std::string key;          // PEM, PKCS #8
};

struct LeafRequest {
  std::string common_name;
  std::vector<std::string> dns_names;
  std::vector<std::string> ip_addresses;
  std::vector<std::string> uris = {};
  bool server = false;  // extended key usage: server or client
};

inline constexpr int64_t kCaLifeSeconds = int64_t{10} * 365 * 86400;
inline constexpr int64_t kLeafLifeSeconds = int64_t{365} * 86400;

Result<KeyPair> MakeCa(const std::string& common_name, int64_t now);
// kCorrupt: `ca` is not in PEM.
Result<KeyPair> MakeLeaf(const KeyPair& ca, const LeafRequest& request, int64_t now);

// Whether `certificate` is signed by `ca`, is for exactly the names of `request`, and has more than
// a third of its life left.
bool LeafIsGood(const std::string& ca_certificate, const std::string& certificate,
                const LeafRequest& request, int64_t now);

// When the authority of `pair` was made and when it ends. kCorrupt: the certificate or the key is
// not in PEM, or they do not belong together.
struct CaLife {
  int64_t made_at = 0;
  int64_t ends_at = 0;
};
Result<CaLife> LifeOfCa(const KeyPair& pair);

}  // namespace tarn::op
