#include "tunnel/service.h"

#include "common/grpc/status.h"

namespace tarn::tunnel {

grpc::Status TunnelService::OpenMount(grpc::ServerContext* context,
                                      const v1::OpenMountRequest* request,
                                      v1::OpenMountResponse* response) {
  auto opened = mounts_.Open(*request);
  // gRPC's own and about to be freed; a key must not be left in what is freed.
  WipeRequest(const_cast<v1::OpenMountRequest&>(*request));
  if (!opened.ok()) return rpcs::ToStatus(opened.error(), *context);
  response->set_address(opened->address);
  response->set_port(opened->port);
  return {};
}

grpc::Status TunnelService::CloseMount(grpc::ServerContext* context,
                                       const v1::CloseMountRequest* request,
                                       v1::CloseMountResponse*) {
  if (!IsMountId(request->mount_id())) {
    return rpcs::ToStatus(Error(Code::kInvalid, "mount_id: is no mount's id"), *context);
  }
  return rpcs::ToStatus(mounts_.Close(request->mount_id()), *context);
}

grpc::Status TunnelService::ListMounts(grpc::ServerContext*, const v1::ListMountsRequest*,
                                       v1::ListMountsResponse* response) {
  *response = mounts_.List();
  return {};
}

}  // namespace tarn::tunnel
