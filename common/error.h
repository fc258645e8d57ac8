// Error: what went wrong, as one code of a small closed set and a sentence for a person.
//
// The codes are the ones that file systems and APIs of this system must tell apart; each edge maps
// them to its own language (nfsstat4, gRPC status, EFS error names, errno). A message names the
// field at fault and the fix.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace tarn {

enum class Code {
  kOk = 0,
  // Files (POSIX errno of the same name).
  kNoEntry,       // ENOENT
  kExists,        // EEXIST
  kNotDirectory,  // ENOTDIR
  kIsDirectory,   // EISDIR
  kNotEmpty,      // ENOTEMPTY
  kAccess,        // EACCES: mode bits deny it
  kPermission,    // EPERM: only the owner or root may
  kStale,         // ESTALE: the handle's file is gone, or was never one of ours
  kBadHandle,     // the handle's bytes are no handle
  kNameTooLong,   // ENAMETOOLONG
  kFileTooBig,    // EFBIG
  kNoSpace,       // ENOSPC
  kQuota,         // EDQUOT
  kReadOnly,      // EROFS
  kTooManyLinks,  // EMLINK
  kCrossDevice,   // EXDEV: not within one access point
  kInvalid,       // EINVAL: a value that is never right
  kNoData,        // ENODATA: no such extended attribute
  kRange,         // ERANGE: does not fit
  kIo,            // EIO: the disk failed or a checksum is wrong
  kNotSupported,  // ENOTSUP
  kBadCookie,     // a readdir cookie that was never given
  // Resources and control.
  kNotFound,          // no such resource
  kAlreadyExists,     // a resource of that token or name exists with other properties
  kInUse,             // something still uses the resource
  kWrongState,        // the resource's life cycle state does not allow it
  kLimitExceeded,     // a documented limit
  kUnauthenticated,   // who are you
  kDenied,            // you may not
  kUnavailable,       // try again later
  kDeadlineExceeded,  // took too long
  kAborted,           // a concurrent operation on the same thing; try again
  kCorrupt,           // stored bytes are not what was written
  kProtocol,          // a peer's bytes break its protocol
  kInternal,          // a bug of ours
};

// The code's name for logs and command lines, such as "NoEntry". Static storage.
std::string_view CodeName(Code code);
// The code of that name; kInternal for a name that is none.
Code CodeOfName(std::string_view name);

class [[nodiscard]] Error {
 public:
  // `message` may be empty on hot paths: the code alone says it (and a short empty string costs no
  // allocation).
  explicit Error(Code code, std::string message = {}) : code_(code), message_(std::move(message)) {}

  // An error of the control API: `api_name` is EFS's name of it ("AccessPointAlreadyExists"),
  // `resource_id` the resource in the way, if there is one.
  Error(Code code, std::string message, std::string api_name, std::string resource_id = {})
      : code_(code),
        message_(std::move(message)),
        api_(std::make_shared<const Api>(Api{std::move(api_name), std::move(resource_id)})) {}

  Code code() const { return code_; }
  const std::string& message() const { return message_; }
  // Empty when the error is not one of the control API.
  std::string_view api_name() const { return api_ ? std::string_view(api_->name) : ""; }
  std::string_view resource_id() const { return api_ ? std::string_view(api_->resource) : ""; }

  // "NoEntry: <message>", for logs.
  std::string ToString() const;

 private:
  struct Api {
    std::string name;
    std::string resource;
  };
  Code code_;
  std::string message_;
  std::shared_ptr<const Api> api_;  // shared: an Error is copied on its way up, and stays small
};

}  // namespace tarn
