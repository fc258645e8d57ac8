// Errors of the control API: EFS's name, a message in EFS's words, the resource at fault.
#pragma once

#include <string>
#include <string_view>

#include "common/error.h"

namespace tarn::control {

// A value that is never right; the message names the field and the fix.
Error BadRequest(std::string message);

Error FileSystemNotFound(std::string_view id);
Error MountTargetNotFound(std::string_view id);
Error AccessPointNotFound(std::string_view id);

// The file system `id` has no policy.
Error PolicyNotFound(std::string_view id);

Error FileSystemAlreadyExists(std::string_view id, std::string_view token);
Error AccessPointAlreadyExists(std::string_view id, std::string_view token);
Error MountTargetConflict(std::string message, std::string_view id);
Error IpAddressInUse(std::string message, std::string_view id = {});

Error FileSystemInUse(std::string message, std::string_view by);
Error WrongFileSystemState(std::string_view id, std::string_view state);
// Another resource stands in the way of a deletion.
Error Conflict(std::string message, std::string_view by);

Error FileSystemLimitExceeded(std::string message);
Error AccessPointLimitExceeded(std::string message);
Error ThroughputLimitExceeded(std::string message);
Error TooManyRequests(std::string message);
// Something that this server asks did not answer, or not in time; try again.
Error DependencyTimeout(std::string message);

}  // namespace tarn::control
