// mount.tarn, also installed as mount.efs: the mount helper. The same program is, for itself alone,
// the helper process that does what may hang, and the process that serves a FUSE mount.
#include <string_view>

#include "csi/mount/helper.h"
#include "mount/mount_main.h"
#ifdef TARN_CSI_FUSE
#include "csi/mount/fuse/fuse_main.h"
#endif

int main(int argc, char** argv) {
  // The first word of the command line is what csi/mount calls its children, and nobody who mounts
  // calls this program: so a file system's name is never taken for a verb.
  const bool is_child = argc > 1 && std::string_view(argv[0]) == "tarn-csi";
  const std::string_view verb = is_child ? argv[1] : "";
  if (verb == "helper") return tarn::csi::HelperMain(argc - 1, argv + 1);
#ifdef TARN_CSI_FUSE
  if (verb == "fuse") return tarn::csi::FuseMain(argc - 1, argv + 1);
#endif
  return tarn::mount::MountMain(argc, argv);
}
