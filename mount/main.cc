// mount.tarn, also installed as mount.efs: the mount helper. The same program is, for itself alone,
// the helper process that does what may hang, and the process that serves a FUSE mount.
#include <cstring>

#include "csi/mount/helper.h"
#include "mount/mount_main.h"
#ifdef TARN_CSI_FUSE
#include "csi/mount/fuse/fuse_main.h"
#endif

int main(int argc, char** argv) {
  // No file system has such a name.
  const char* verb = argc > 1 ? argv[1] : "";
  if (std::strcmp(verb, "helper") == 0) return tarn::csi::HelperMain(argc - 1, argv + 1);
#ifdef TARN_CSI_FUSE
  if (std::strcmp(verb, "fuse") == 0) return tarn::csi::FuseMain(argc - 1, argv + 1);
#endif
  return tarn::mount::MountMain(argc, argv);
}
