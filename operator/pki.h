// A small certificate authority for the control API: ECDSA P-256, X.509 v3. Used only between our
// own programs.
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
  bool server = false;  // extended key usage: server or client
};

inline constexpr int64_t kCaLifeSeconds = int64_t{10} * 365 * 86400;
inline constexpr int64_t kLeafLifeSeconds = int64_t{365} * 86400;

Result<KeyPair> MakeCa(const std::string& common_name);
Result<KeyPair> MakeLeaf(const KeyPair& ca, const LeafRequest& request);

// Whether `certificate` is signed by `ca`, covers every name of `request`, and has more than a
// third of its life left.
bool LeafIsGood(const std::string& ca_certificate, const std::string& certificate,
                const LeafRequest& request);

}  // namespace tarn::op
