// A cluster's API server as far as its tokens go: keys, the file of issuers, signed tokens.
#pragma once

#include <jansson.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace tarn::identity {

class TokenMaker {
 public:
  // `algorithm`: of the first key, such as "ES256".
  explicit TokenMaker(const std::string& algorithm = "ES256",
                      std::string issuer = "https://cluster.test");
  ~TokenMaker();
  TokenMaker(const TokenMaker&) = delete;
  TokenMaker& operator=(const TokenMaker&) = delete;

  // One more; tokens are signed by the newest.
  void AddKey(const std::string& algorithm);
  // One issuer's part of the file of issuers, and all of a file with it alone.
  nlohmann::json Entry(const std::string& audience = "tarn.dev") const;
  std::string File() const;

  // What Kubernetes puts into a token for a pod of this ServiceAccount. Valid from 1000 s to 4600
  // s.
  nlohmann::json Claims(const std::string& name_space, const std::string& name) const;
  std::string Sign(const nlohmann::json& claims) const { return SignText(claims.dump()); }
  // `header` is put over the one that is due.
  std::string SignText(const std::string& payload,
                       const nlohmann::json& header = nlohmann::json::object()) const;

 private:
  std::string issuer_;
  std::vector<json_t*> keys_;
};

}  // namespace tarn::identity
