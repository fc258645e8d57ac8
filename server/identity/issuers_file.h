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
  using IssuersPtr = std::shared_ptr<const TokenIssuers>;
  // How often the file is looked at, at most.
  static constexpr std::chrono::milliseconds kRefresh{1000};

  // kInvalid names the file and what is wrong with it.
  static Result<std::unique_ptr<IssuersFile>> Open(const std::string& path);

  // What the file says. While it cannot be read or makes no sense: what it said before, and a line
  // in the log. One caller reads it when that is due; the others have what it said before
  // meanwhile.
  IssuersPtr Current();

 private:
  explicit IssuersFile(std::string path) : path_(std::move(path)) {}
  // By one thread at a time, without the mutex.
  Result<IssuersPtr> Read();  // null: it says what it said before
  void Refresh();

  const std::string path_;
  std::string text_;     // of whoever looks
  std::string refused_;  // the same: why the last text is not used; logged once

  std::mutex mutex_;  // guards what follows
  bool looks_ = false;
  std::chrono::steady_clock::time_point looked_;
  IssuersPtr issuers_;
};

}  // namespace tarn::identity
