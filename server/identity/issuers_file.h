// IssuersFile: the file of TokenIssuers, read again when it changes.
//
// Threads: any.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <string>

#include "common/result.h"
#include "server/identity/token_issuers.h"

namespace tarn::identity {

class IssuersFile {
 public:
  // How often the file is looked at, at most.
  static constexpr std::chrono::milliseconds kRefresh{1000};

  // kInvalid names the file and what is wrong with it.
  static Result<std::unique_ptr<IssuersFile>> Open(const std::string& path);

  // What the file says. While it cannot be read or makes no sense: what it said before, and a line
  // in the log.
  std::shared_ptr<const TokenIssuers> Current();

 private:
  explicit IssuersFile(std::string path) : path_(std::move(path)) {}
  Result<void> Read();

  const std::string path_;
  std::mutex mutex_;  // guards what follows
  std::chrono::steady_clock::time_point looked_;
  std::string text_;
  std::string refused_;  // why the last text is not used; logged once
  std::shared_ptr<const TokenIssuers> issuers_;
};

}  // namespace tarn::identity
