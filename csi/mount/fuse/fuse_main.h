// `tarn-csi fuse`: the process that serves one FUSE mount of an access point over libnfs.
//
// It runs in the foreground, in a session and cgroup of its own that its starter
// (csi/mount/fuse_start.h) made, with stdin from /dev/null and stdout and stderr in a log file. It
// outlives the CSI plugin.
//
//   tarn-csi fuse --server ADDRESS:PORT --export /fsap-0123456789abcdef0 --mountpoint DIR
//                 [--source NAME] [--options ro,…] [--ready-fd N] [--log-level LEVEL]
//
//   --server     of the mount target; an IPv6 address is in brackets
//   --export     what a kernel client would mount; may go on into a directory, "/fsap-…/sub"
//   --mountpoint an existing directory
//   --source     the mount's source in /proc/self/mountinfo (default "ADDRESS:PORT:EXPORT"); its
//                type there is "fuse.tarn"
//   --options    validated by csi/mount/mount_options.h; unknown ones are ignored
//   --ready-fd   an open descriptor: "ok\n" is written once the mount is in place and the server
//                answered for its root, else one line with the reason; then it is closed
//
// Exit: 0 after an unmount (by anyone) or SIGTERM, which unmounts; 1 when the mount could not be
// made.
#pragma once

namespace tarn::csi {

// `argv[0]` is "fuse". Starts threads only after the arguments are checked.
int FuseMain(int argc, char** argv);

}  // namespace tarn::csi
