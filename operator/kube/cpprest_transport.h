// HttpTransport over cpprestsdk. No type of that library appears here.
//
// Call PrepareProcess once in main before any thread exists: the library trusts the system's
// certificate bundle unless the environment says otherwise, and starts 40 threads unless told.
#pragma once

#include <memory>

#include "operator/kube/config.h"
#include "operator/kube/transport.h"

namespace tarn::kube {

void PrepareProcess(const ClusterConfig& config);

// kInvalid if the server's address is no URL.
Result<std::unique_ptr<HttpTransport>> NewCpprestTransport(const ClusterConfig& config);

}  // namespace tarn::kube
