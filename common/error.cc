#include "common/error.h"

#include <array>

namespace tarn {

namespace {

struct Named {
  Code code;
  std::string_view name;
};

constexpr std::array kNames{
    Named{Code::kOk, "Ok"},
    Named{Code::kNoEntry, "NoEntry"},
    Named{Code::kExists, "Exists"},
    Named{Code::kNotDirectory, "NotDirectory"},
    Named{Code::kIsDirectory, "IsDirectory"},
    Named{Code::kNotEmpty, "NotEmpty"},
    Named{Code::kAccess, "Access"},
    Named{Code::kPermission, "Permission"},
    Named{Code::kStale, "Stale"},
    Named{Code::kBadHandle, "BadHandle"},
    Named{Code::kNameTooLong, "NameTooLong"},
    Named{Code::kFileTooBig, "FileTooBig"},
    Named{Code::kNoSpace, "NoSpace"},
    Named{Code::kQuota, "Quota"},
    Named{Code::kReadOnly, "ReadOnly"},
    Named{Code::kTooManyLinks, "TooManyLinks"},
    Named{Code::kCrossDevice, "CrossDevice"},
    Named{Code::kInvalid, "Invalid"},
    Named{Code::kNoData, "NoData"},
    Named{Code::kRange, "Range"},
    Named{Code::kIo, "Io"},
    Named{Code::kNotSupported, "NotSupported"},
    Named{Code::kBadCookie, "BadCookie"},
    Named{Code::kNotFound, "NotFound"},
    Named{Code::kAlreadyExists, "AlreadyExists"},
    Named{Code::kInUse, "InUse"},
    Named{Code::kWrongState, "WrongState"},
    Named{Code::kLimitExceeded, "LimitExceeded"},
    Named{Code::kUnauthenticated, "Unauthenticated"},
    Named{Code::kDenied, "Denied"},
    Named{Code::kUnavailable, "Unavailable"},
    Named{Code::kDeadlineExceeded, "DeadlineExceeded"},
    Named{Code::kAborted, "Aborted"},
    Named{Code::kCorrupt, "Corrupt"},
    Named{Code::kProtocol, "Protocol"},
    Named{Code::kInternal, "Internal"},
};

constexpr bool InOrder() {
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (static_cast<size_t>(kNames[i].code) != i) return false;
  }
  return kNames.back().code == Code::kInternal;
}
static_assert(InOrder(), "a code has no name, or the names are not in the order of the codes");

}  // namespace

std::string_view CodeName(Code code) {
  auto index = static_cast<size_t>(code);
  return index < kNames.size() ? kNames[index].name : "Unknown";
}

Code CodeOfName(std::string_view name) {
  for (const Named& named : kNames) {
    if (named.name == name) return named.code;
  }
  return Code::kInternal;
}

std::string Error::ToString() const {
  std::string text(CodeName(code_));
  if (!message_.empty()) text.append(": ").append(message_);
  return text;
}

}  // namespace tarn
