// The file of access keys (server/identity/access_keys.h), by whose signatures servers know clients
// of the original EFS mount helper: spec.accessKeysSecretRef names a Secret of the FileSystem's
// namespace with the entry access-keys.json.
//
// The server is given a copy, the Secret NAME-nfs-access-keys, which is always there and always
// right, so that no mistake in a user's Secret keeps a server from starting. A Secret or entry that
// is gone takes the keys away; one that makes no sense changes nothing. The condition
// AccessKeysRead says either. No key is in events, conditions or logs.
#pragma once

#include "operator/context.h"
#include "operator/status_draft.h"

namespace tarn::op {

inline const std::string kAccessKeysEntry = "access-keys.json";

// What spec.accessKeysSecretRef names; empty: no access key counts.
std::string AccessKeysSecretOf(const Json& file_system);
// The copy's name, in the file system's namespace.
std::string AccessKeysCopyName(const Json& file_system);

// Makes the copy so, where the spec names a Secret or did so before.
Result<void> EnsureAccessKeys(Context& context, const Json& file_system, StatusDraft& status);

}  // namespace tarn::op
