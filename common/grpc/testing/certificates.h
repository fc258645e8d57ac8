// Certificates for tests of mutual TLS: an authority, and leaves that it signed.
#pragma once

#include <memory>
#include <string>

namespace tarn::rpcs {

class TestAuthority {
 public:
  TestAuthority();
  ~TestAuthority();
  // Writes ca.crt, tls.crt and tls.key into `dir` (made if need be). The leaf serves and calls; it
  // names localhost, 127.0.0.1 and ::1, or only `dns_name` when that is given.
  void Issue(const std::string& dir, const std::string& dns_name = {}) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tarn::rpcs
