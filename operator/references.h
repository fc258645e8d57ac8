// References: which FileSystem an AccessPoint, MountTarget or LifecyclePolicy means, and who means
// a FileSystem.
#pragma once

#include "operator/context.h"
#include "operator/names.h"

namespace tarn::op {

// The FileSystem that spec.fileSystemRef or spec.fileSystemId names. kNotFound: there is none;
// kDenied: it is in another namespace and does not allow this one.
Result<Json> ResolveFileSystem(Context& context, const Json& resource);

// The same, allowed or not: for taking away what was made while it was allowed.
Result<Json> NamedFileSystem(Context& context, const Json& resource);

// Whether `resource` means that file system, allowed or not. Quick and without a lock, for handlers
// of informers.
bool RefersTo(const Json& resource, const ObjectName& file_system,
              const std::string& file_system_id);

// Whether the file system allows `ns` to use it.
bool Allows(const Json& file_system, const std::string& ns);

// Its mount targets: those that it allows and that are not being deleted.
std::vector<Json> MountTargetsOf(Context& context, const Json& file_system);

// "10.96.4.2:9400" of a file system that has an address; kUnavailable: not yet.
Result<std::string> ControlAddress(const Json& file_system);
// Its control address if it is Ready; kUnavailable: not yet, with its own reason in the message.
Result<std::string> ReadyAddress(const Json& file_system);

// Who uses it, one phrase each, at most kMaxNamedUsers and then how many more.
inline constexpr size_t kMaxNamedUsers = 8;
std::vector<std::string> UsersOfFileSystem(Context& context, const Json& file_system,
                                           const std::vector<Json>& volumes);
std::vector<std::string> UsersOfAccessPoint(Context& context, const std::string& access_point_id,
                                            const std::vector<Json>& volumes);
// "a, b and 3 more".
std::string Sentence(const std::vector<std::string>& users);

// The volumes as the API server has them now, not as the cache does: for the last look before
// something goes for ever.
Result<std::vector<Json>> LiveVolumes(Context& context);

}  // namespace tarn::op
