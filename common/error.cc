#include "common/error.h"

namespace tarn {

std::string_view CodeName(Code code) {
  switch (code) {
    case Code::kOk:
      return "Ok";
    case Code::kNoEntry:
      return "NoEntry";
    case Code::kExists:
      return "Exists";
    case Code::kNotDirectory:
      return "NotDirectory";
    case Code::kIsDirectory:
      return "IsDirectory";
    case Code::kNotEmpty:
      return "NotEmpty";
    case Code::kAccess:
      return "Access";
    case Code::kPermission:
      return "Permission";
    case Code::kStale:
      return "Stale";
    case Code::kBadHandle:
      return "BadHandle";
    case Code::kNameTooLong:
      return "NameTooLong";
    case Code::kFileTooBig:
      return "FileTooBig";
    case Code::kNoSpace:
      return "NoSpace";
    case Code::kQuota:
      return "Quota";
    case Code::kReadOnly:
      return "ReadOnly";
    case Code::kTooManyLinks:
      return "TooManyLinks";
    case Code::kCrossDevice:
      return "CrossDevice";
    case Code::kInvalid:
      return "Invalid";
    case Code::kNoData:
      return "NoData";
    case Code::kRange:
      return "Range";
    case Code::kIo:
      return "Io";
    case Code::kNotSupported:
      return "NotSupported";
    case Code::kBadCookie:
      return "BadCookie";
    case Code::kNotFound:
      return "NotFound";
    case Code::kAlreadyExists:
      return "AlreadyExists";
    case Code::kInUse:
      return "InUse";
    case Code::kWrongState:
      return "WrongState";
    case Code::kLimitExceeded:
      return "LimitExceeded";
    case Code::kUnauthenticated:
      return "Unauthenticated";
    case Code::kDenied:
      return "Denied";
    case Code::kUnavailable:
      return "Unavailable";
    case Code::kDeadlineExceeded:
      return "DeadlineExceeded";
    case Code::kAborted:
      return "Aborted";
    case Code::kCorrupt:
      return "Corrupt";
    case Code::kProtocol:
      return "Protocol";
    case Code::kInternal:
      return "Internal";
  }
  return "Unknown";
}

Code CodeOfName(std::string_view name) {
  for (int code = 0; code <= static_cast<int>(Code::kInternal); ++code) {
    if (CodeName(static_cast<Code>(code)) == name) return static_cast<Code>(code);
  }
  return Code::kInternal;
}

std::string Error::ToString() const {
  std::string text(CodeName(code_));
  if (!message_.empty()) text.append(": ").append(message_);
  return text;
}

}  // namespace tarn
