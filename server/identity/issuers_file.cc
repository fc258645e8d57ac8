#include "server/identity/issuers_file.h"

#include <utility>

#include "common/files.h"
#include "common/log.h"

namespace tarn::identity {

Result<std::unique_ptr<IssuersFile>> IssuersFile::Open(const std::string& path) {
  std::unique_ptr<IssuersFile> file(new IssuersFile(path));
  TRY(file->Read());
  return file;
}

Result<void> IssuersFile::Read() {
  looked_ = std::chrono::steady_clock::now();
  auto read = ReadSmallFile(path_);
  if (!read) return Error(Code::kInvalid, read.error().message() + ", the file of token issuers");
  if (issuers_ && *read == text_) return Ok();
  auto parsed = TokenIssuers::Parse(*read);
  if (!parsed) return Error(Code::kInvalid, path_ + ": " + parsed.error().message());
  bool again = issuers_ != nullptr;
  text_ = *std::move(read);
  issuers_ = *std::move(parsed);
  if (again) spdlog::info("{}: read again", path_);
  return Ok();
}

std::shared_ptr<const TokenIssuers> IssuersFile::Current() {
  std::lock_guard lock(mutex_);
  if (std::chrono::steady_clock::now() - looked_ < kRefresh) return issuers_;
  auto read = Read();
  std::string refused = read ? std::string() : read.error().message();
  if (refused != refused_ && !refused.empty()) {
    spdlog::error("{}; what it said before goes on to count", refused);
  }
  refused_ = std::move(refused);
  return issuers_;
}

}  // namespace tarn::identity
