// Records of access points of an encrypted file system: what names something is sealed with a key
// derived from the file system's data key, so it is as unreadable on the disk as the files.
//
// Sealed: the path of the root directory, the client token, the name, the tags and the request.
// Left readable, since handles must be told apart and owners mapped before the key is there: ids,
// numbers, life cycle state, POSIX user, creation info, quotas, the root directory's inode.
//
// Threads: any.
#pragma once

#include <memory>

#include "common/crypto/sealer.h"
#include "common/result.h"
#include "server/control/records.pb.h"

namespace tarn::control {

Result<std::unique_ptr<Sealer>> RecordSealer(const SecretBytes& data_key);

Result<records::AccessPoint> SealRecord(const Sealer& sealer, const records::AccessPoint& record);
// kCorrupt: it was sealed with another key, is another access point's, or was changed.
Result<records::AccessPoint> OpenRecord(const Sealer& sealer, const records::AccessPoint& record);

}  // namespace tarn::control
