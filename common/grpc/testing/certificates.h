// Certificates for tests of mutual TLS: an authority, and leaves that it signed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace tarn::rpcs {

struct TestLeaf {
  std::string dns_name = {};           // empty: localhost, 127.0.0.1 and ::1
  std::vector<std::string> uris = {};  // further subject alternative names
  std::string common_name = "test leaf";
  int64_t seconds_left = 86400;  // negative: it has expired
  bool client = true;            // else it is for servers alone
};

class TestAuthority {
 public:
  TestAuthority();
  ~TestAuthority();
  // Writes ca.crt, tls.crt and tls.key into `dir` (made if need be).
  void Issue(const std::string& dir, const TestLeaf& leaf = {}) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tarn::rpcs
