// Names and text as clients send them. Threads: pure functions.
#pragma once

#include <string_view>

#include "api/nfs4.h"

namespace tarn::nfs4 {

// Is it well-formed UTF-8 (RFC 3629)?
bool IsUtf8(std::string_view text);

// A component that names an entry of a directory. NFS4ERR_INVAL: empty; NFS4ERR_BADNAME: "." or
// ".."; NFS4ERR_BADCHAR: '/' or NUL; NFS4ERR_NAMETOOLONG. Any other bytes are a name: EFS, like
// POSIX, does not ask for UTF-8.
nfsstat4 CheckComponent(std::string_view name);

}  // namespace tarn::nfs4
