// A key provider for tests: its versions are numbers, and it fails and hangs as it is told.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "server/keys/provider.h"

namespace tarn::control {

class FakeProvider : public keys::KeyProvider {
 public:
  std::optional<Error> wrap_error;
  std::optional<Error> unwrap_error;
  std::map<std::string, Error> unwrap_errors;  // by the version that wrapped
  std::optional<Error> check_error;
  bool wraps_rubbish = false;
  std::function<void()> before_wrap;    // once
  std::function<void()> before_unwrap;  // once
  std::function<void()> before_error;   // of unwrapping
  int version = 1;
  uint64_t unwraps = 0;
  std::atomic<bool> hang{false};
  std::atomic<bool> hanging{false};

  Result<keys::Wrapped> Wrap(const SecretBytes& secret, const keys::Call& call) override {
    TRY(Hang(call));
    if (auto before = std::exchange(before_wrap, nullptr)) before();
    if (wrap_error) return *wrap_error;
    std::string bytes(secret.view());
    for (char& c : bytes) c = static_cast<char>(c ^ 0x5a);
    if (wraps_rubbish) bytes.front() = 'r';
    return keys::Wrapped{
        .version = std::to_string(version), .ciphertext = std::move(bytes), .annotations = {}};
  }
  Result<SecretBytes> Unwrap(const keys::Wrapped& wrapped, const keys::Call& call) override {
    ++unwraps;
    TRY(Hang(call));
    if (auto before = std::exchange(before_unwrap, nullptr)) before();
    std::optional<Error> error = unwrap_error;
    const auto of_version = unwrap_errors.find(wrapped.version);
    if (!error && of_version != unwrap_errors.end()) error = of_version->second;
    if (error && before_error) before_error();
    if (error) return *error;
    std::string bytes = wrapped.ciphertext;
    for (char& c : bytes) c = static_cast<char>(c ^ 0x5a);
    return SecretBytes(bytes);
  }
  Result<std::string> Check(const keys::Call& call) override {
    TRY(Hang(call));
    if (check_error) return *check_error;
    return std::to_string(version);
  }
  std::string Place() const override { return "fake"; }

 private:
  Result<void> Hang(const keys::Call& call) {
    while (hang) {
      hanging = true;
      if (call.stop.stop_requested()) return Error(Code::kAborted, "stopped");
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return Ok();
  }
};

}  // namespace tarn::control
