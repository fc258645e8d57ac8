// Device: what is to be mounted, the first word of `mount.efs DEVICE MOUNTPOINT`, as the original
// EFS mount helper takes it:
//
//   fs-0123456789abcdef0[:/path]
//   [ZONE.]fs-0123456789abcdef0.efs.REGION.amazonaws.com[:/path]
//   [ZONE.]fs-0123456789abcdef0.efs.tarn[:/path]          Tarn's own
//   a name that is a CNAME of one of these names[:/path]
#pragma once

#include <functional>
#include <string>

#include "common/result.h"

namespace tarn::mount {

struct Device {
  std::string text;  // as it was given
  std::string file_system_id;
  std::string path = "/";    // absolute, cleaned
  std::string host;          // the DNS name, when it was one
  std::string zone, region;  // of the DNS name; may be empty
};

// The name that a name stands for in the DNS; may block.
using CanonicalName = std::function<Result<std::string>(const std::string&)>;
Result<std::string> AskDns(const std::string& name);

// kInvalid: it is none of these, or its path holds "..", or a control character.
Result<Device> ParseDevice(const std::string& text, const CanonicalName& canonical = AskDns);

}  // namespace tarn::mount
