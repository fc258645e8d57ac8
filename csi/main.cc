// tarn-csi: the CSI driver. One program with four faces: the controller and node plugins, and the
// helper and FUSE processes that the node plugin starts.
#include <cstdio>
#include <cstring>

#include "common/version.h"
#include "csi/controller/controller_main.h"
#include "csi/mount/helper.h"
#include "csi/node/node_main.h"
#ifdef TARN_CSI_FUSE
#include "csi/mount/fuse/fuse_main.h"
#endif

namespace {

constexpr char kUsage[] =
    "usage: tarn-csi controller [flags]   serve the CSI controller\n"
    "       tarn-csi node [flags]         serve the CSI node plugin\n"
    "       tarn-csi fuse [flags]         serve one FUSE mount (started by the node plugin)\n"
    "       tarn-csi --version\n"
    "Each prints its flags with --help.\n";

}  // namespace

int main(int argc, char** argv) {
  const char* verb = argc > 1 ? argv[1] : "";
  auto is = [&](const char* name) { return std::strcmp(verb, name) == 0; };
  if (is("controller")) return tarn::csi::ControllerMain(argc - 1, argv + 1);
  if (is("node")) return tarn::csi::NodeMain(argc - 1, argv + 1);
  if (is("helper")) return tarn::csi::HelperMain(argc - 1, argv + 1);
#ifdef TARN_CSI_FUSE
  if (is("fuse")) return tarn::csi::FuseMain(argc - 1, argv + 1);
#endif
  if (is("--version")) return std::printf("tarn-csi %s\n", tarn::kVersion) < 0;
  bool asked = is("--help") || is("-h") || is("help");
  std::fputs(kUsage, asked ? stdout : stderr);
  return asked ? 0 : 1;
}
