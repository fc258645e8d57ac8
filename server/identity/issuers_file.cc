#include "server/identity/issuers_file.h"

#include <utility>

#include "common/files.h"
#include "common/log.h"

namespace tarn::identity {

Result<std::unique_ptr<IssuersFile>> IssuersFile::Open(const std::string& path) {
  std::unique_ptr<IssuersFile> file(new IssuersFile(path));
  TRY(file->issuers_, file->Read());
  file->looked_ = std::chrono::steady_clock::now();
  return file;
}

Result<IssuersFile::IssuersPtr> IssuersFile::Read() {
  auto read = ReadSmallFile(path_);
  if (!read) return Error(Code::kInvalid, read.error().message() + ", the file of token issuers");
  if (!text_.empty() && *read == text_) return IssuersPtr();
  auto parsed = TokenIssuers::Parse(*read);
  if (!parsed) return Error(Code::kInvalid, path_ + ": " + parsed.error().message());
  if (!text_.empty()) spdlog::info("{}: read again", path_);
  text_ = *std::move(read);
  return *std::move(parsed);
}

void IssuersFile::Refresh() {
  auto read = Read();
  std::string refused = read ? std::string() : read.error().message();
  if (refused != refused_ && !refused.empty()) {
    spdlog::error("{}; what it said before goes on to count", refused);
  }
  refused_ = std::move(refused);
  std::lock_guard lock(mutex_);
  if (read && *read) issuers_ = *std::move(read);
  looked_ = std::chrono::steady_clock::now();
  looks_ = false;
}

IssuersFile::IssuersPtr IssuersFile::Current() {
  {
    std::lock_guard lock(mutex_);
    bool due = std::chrono::steady_clock::now() - looked_ >= kRefresh;
    if (!due || looks_) return issuers_;
    looks_ = true;
  }
  Refresh();
  std::lock_guard lock(mutex_);
  return issuers_;
}

}  // namespace tarn::identity
