// `tarn-csi fuse`: mounts one path of an NFS 4.0 server by FUSE and serves it until it is
// unmounted.
#pragma once

namespace tarn::fuse {

// argv[0] is the command's own name ("fuse"):
//   fuse --source HOST[:PORT]:/path --mountpoint DIR [--options ro,uid=…] [--foreground]
// Without --foreground it returns 0 in the calling process once the mount is there, and goes on in
// a child. Exit status 1: not mounted, with one line on stderr that names the fault. Call it before
// any thread is started.
int FuseMain(int argc, char** argv);

}  // namespace tarn::fuse
