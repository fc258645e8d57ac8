#include "csi/identity.h"

#include "common/version.h"
#include "csi/call.h"

namespace tarn::csi {

grpc::Status Identity::GetPluginInfo(grpc::ServerContext*, const pb::GetPluginInfoRequest*,
                                     pb::GetPluginInfoResponse* response) {
  response->set_name(options_.driver_name);
  response->set_vendor_version(kVersion);
  return grpc::Status::OK;
}

grpc::Status Identity::GetPluginCapabilities(grpc::ServerContext*,
                                             const pb::GetPluginCapabilitiesRequest*,
                                             pb::GetPluginCapabilitiesResponse* response) {
  using Part = pb::PluginCapability::Service;
  // Both plugins announce the driver's whole: kubelet and the sidecars each ask only one of them.
  response->add_capabilities()->mutable_service()->set_type(Part::CONTROLLER_SERVICE);
  if (options_.topology) {
    response->add_capabilities()->mutable_service()->set_type(
        Part::VOLUME_ACCESSIBILITY_CONSTRAINTS);
  }
  response->add_capabilities()->mutable_volume_expansion()->set_type(
      pb::PluginCapability::VolumeExpansion::ONLINE);
  return grpc::Status::OK;
}

grpc::Status Identity::Probe(grpc::ServerContext*, const pb::ProbeRequest* request,
                             pb::ProbeResponse* response) {
  return Call("Probe", *request, response, [&]() -> Result<pb::ProbeResponse> {
    if (options_.probe) TRY(options_.probe());
    pb::ProbeResponse answer;
    answer.mutable_ready()->set_value(true);
    return answer;
  });
}

}  // namespace tarn::csi
