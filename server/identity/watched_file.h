// WatchedFile: a file of credentials that is read again when it changes: whose tokens count
// (TokenIssuers), whose signatures (AccessKeys).
//
// `Content` has Parse(text) -> Result<shared_ptr<const Content>>, and kWhat, which names such a
// file in errors. Threads: any.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "common/files.h"
#include "common/log.h"
#include "common/result.h"
#include "common/text.h"

namespace tarn::identity {

template <typename Content>
class WatchedFile {
 public:
  using ContentPtr = std::shared_ptr<const Content>;
  // How often the file is looked at, at most.
  static constexpr std::chrono::milliseconds kRefresh{1000};

  // kInvalid names the file and what is wrong with it.
  static Result<std::unique_ptr<WatchedFile>> Open(const std::string& path) {
    std::unique_ptr<WatchedFile> file(new WatchedFile(path));
    TRY(file->content_, file->Read());
    file->looked_ = std::chrono::steady_clock::now();
    return file;
  }

  // What the file says. While it cannot be read or makes no sense: what it said before, and a line
  // in the log. One caller reads it when that is due; the others have what it said before
  // meanwhile.
  ContentPtr Current() {
    {
      std::lock_guard lock(mutex_);
      bool due = std::chrono::steady_clock::now() - looked_ >= kRefresh;
      if (!due || looks_) return content_;
      looks_ = true;
    }
    Refresh();
    std::lock_guard lock(mutex_);
    return content_;
  }

 private:
  explicit WatchedFile(std::string path) : path_(std::move(path)) {}

  // By one thread at a time, without the mutex. Null: it says what it said before.
  Result<ContentPtr> Read() {
    auto read = ReadSmallFile(path_);
    if (!read) {
      return Error(Code::kInvalid, read.error().message() + ", " + std::string(Content::kWhat));
    }
    std::string hash = Sha256Hex(*read);  // the text itself may hold secrets
    if (hash == hash_) return ContentPtr();
    auto parsed = Content::Parse(*read);
    if (!parsed) return Error(Code::kInvalid, path_ + ": " + parsed.error().message());
    if (!hash_.empty()) spdlog::info("{}: read again", path_);
    hash_ = std::move(hash);
    return *std::move(parsed);
  }

  void Refresh() {
    auto read = Read();
    std::string refused = read ? std::string() : read.error().message();
    if (refused != refused_ && !refused.empty()) {
      spdlog::error("{}; what it said before goes on to count", refused);
    }
    refused_ = std::move(refused);
    std::lock_guard lock(mutex_);
    if (read && *read) content_ = *std::move(read);
    looked_ = std::chrono::steady_clock::now();
    looks_ = false;
  }

  const std::string path_;
  std::string hash_;     // of whoever looks
  std::string refused_;  // the same: why the last text is not used; logged once

  std::mutex mutex_;  // guards what follows
  bool looks_ = false;
  std::chrono::steady_clock::time_point looked_;
  ContentPtr content_;
};

}  // namespace tarn::identity
