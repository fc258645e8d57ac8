// ClusterReader: the few things the controller reads through the Kubernetes API.
//
// Thread-safe; calls block.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "common/grpc/tls.h"
#include "common/result.h"
#include "csi/registry.h"

namespace tarn::kube {
class Client;
}

namespace tarn::csi {

class ClusterReader {
 public:
  virtual ~ClusterReader() = default;
  // The data of a ConfigMap, or of a Secret (decoded). kNotFound, kDenied (the role of our service
  // account lacks it), kUnavailable.
  virtual Result<std::map<std::string, std::string>> ConfigMap(const std::string& ns,
                                                               const std::string& name) = 0;
  virtual Result<std::map<std::string, std::string>> Secret(const std::string& ns,
                                                            const std::string& name) = 0;
};

// `client` must outlive it.
std::unique_ptr<ClusterReader> NewClusterReader(kube::Client& client);

// The registry's ConfigMap; one that is not there (no FileSystem yet) is empty. `reader` must
// outlive the source.
Registry::Source ConfigMapSource(ClusterReader& reader, const std::string& ns,
                                 const std::string& name);

// ca.crt, tls.crt and tls.key of a Secret. kUnavailable: it is not there (yet).
Result<rpcs::TlsPems> ReadTlsSecret(ClusterReader& reader, const std::string& ns,
                                    const std::string& name);

}  // namespace tarn::csi
