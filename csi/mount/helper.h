// The child side of HelperRunner: `tarn-csi helper OPERATION ARGUMENT…`. One process does one
// operation and ends; it has one thread and may be killed at any point.
//
//   mkdir PATH
//     makes it and its parents; it may be there
//   rmdir PATH
//     it need not be there
//   bind SOURCE TARGET rw|ro
//     a bind mount; makes TARGET
//   umount TARGET [rmdir]
//     everything on TARGET, first politely, then lazily; it need not be mounted
//   detach TARGET [rmdir]
//     the same, lazily at once
//   check PATH
//     is it there and does it answer: kNotFound, kStale (its server process is gone)
//   statfs PATH
//     "block_size blocks available files files_free", in decimal
//   mount-nfs SERVER EXPORT TARGET OPTION…
//     by the kernel's NFS client; SERVER is address:port; makes TARGET
//   start-fuse LOG CGROUP DEADLINE_MS TARGET ARGUMENT…
//     starts `tarn-csi fuse --mountpoint TARGET ARGUMENT…` for good and waits until it is ready;
//     makes TARGET
#pragma once

namespace tarn::csi {

// `argv[0]` is "helper". Returns the exit status.
int HelperMain(int argc, char** argv);

}  // namespace tarn::csi
