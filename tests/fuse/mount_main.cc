// tarn-fuse: `tarn-csi fuse` as a program of its own, for tests.
#include "csi/mount/fuse/fuse_main.h"

int main(int argc, char** argv) {
  return tarn::fuse::FuseMain(argc, argv);
}
