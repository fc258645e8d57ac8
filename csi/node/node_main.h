// `tarn-csi node`.
#pragma once

namespace tarn::csi {

// `argv[0]` is "node". Returns the exit status.
int NodeMain(int argc, char** argv);

}  // namespace tarn::csi
