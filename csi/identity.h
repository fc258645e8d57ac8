// CSI Identity: who this plugin is and whether it works.
#pragma once

#include <functional>
#include <string>

#include "api/csi.grpc.pb.h"
#include "common/result.h"

namespace tarn::csi {

struct IdentityOptions {
  std::string driver_name;
  bool topology = false;
  // Called by Probe; may be empty. An error makes it FAILED_PRECONDITION.
  std::function<Result<void>()> probe;
};

class Identity final : public ::csi::v1::Identity::Service {
 public:
  explicit Identity(IdentityOptions options) : options_(std::move(options)) {}

  grpc::Status GetPluginInfo(grpc::ServerContext*, const ::csi::v1::GetPluginInfoRequest*,
                             ::csi::v1::GetPluginInfoResponse*) override;
  grpc::Status GetPluginCapabilities(grpc::ServerContext*,
                                     const ::csi::v1::GetPluginCapabilitiesRequest*,
                                     ::csi::v1::GetPluginCapabilitiesResponse*) override;
  grpc::Status Probe(grpc::ServerContext*, const ::csi::v1::ProbeRequest*,
                     ::csi::v1::ProbeResponse*) override;

 private:
  const IdentityOptions options_;
};

}  // namespace tarn::csi
