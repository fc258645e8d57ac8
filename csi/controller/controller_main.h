// `tarn-csi controller`.
#pragma once

namespace tarn::csi {

// `argv[0]` is "controller". Returns the exit status.
int ControllerMain(int argc, char** argv);

}  // namespace tarn::csi
