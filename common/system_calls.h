// What the server and the tunnel ask of the kernel, and nothing else: a filter (seccomp) that
// refuses all other system calls, for the rest of the process's life and for its children. Whoever
// makes such a process run code of theirs can start no program, look into no other process, mount
// nothing, load nothing into the kernel, and make no namespace.
//
// Refused calls fail with EPERM, and with ENOSYS where libraries have another way then: clone3, and
// what is newer than this list.
#pragma once

#include "common/result.h"

namespace tarn {

// For all threads that there are and that come. Sets no_new_privs, too. Cannot be undone.
// kNotSupported: this kernel or architecture has no such filters, or the build is one with a
// sanitizer, which needs more; kDenied.
Result<void> RestrictSystemCalls();

// As the programs do it: where it cannot be set they log a warning and go on. A container runtime
// may refuse that call itself, and then has a filter of its own.
void RestrictSystemCallsOrWarn();

}  // namespace tarn
