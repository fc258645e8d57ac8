// `mount.efs DEVICE MOUNTPOINT -o OPTIONS`: one mount, from its command line to its exit status.
//
// Exit: 0 mounted, or it was already; 1 wrong usage, no identity, no way to the server: what the
// original EFS mount helper ends with 1 for; 32 the mount itself failed, as mount.nfs4 has it. Why
// is on stderr and in the log file.
#pragma once

namespace tarn::mount {

// Takes what AWS calls secrets out of the environment, so that no child has them. Call it before
// threads exist.
int MountMain(int argc, char** argv);

}  // namespace tarn::mount
