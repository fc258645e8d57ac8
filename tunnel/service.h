// The management API, api/tunnel.proto, over Mounts.
#pragma once

#include "api/tunnel.grpc.pb.h"
#include "tunnel/mounts.h"

namespace tarn::tunnel {

class TunnelService : public v1::Tunnel::Service {
 public:
  explicit TunnelService(Mounts& mounts) : mounts_(mounts) {}

  grpc::Status OpenMount(grpc::ServerContext* context, const v1::OpenMountRequest* request,
                         v1::OpenMountResponse* response) override;
  grpc::Status CloseMount(grpc::ServerContext* context, const v1::CloseMountRequest* request,
                          v1::CloseMountResponse* response) override;
  grpc::Status ListMounts(grpc::ServerContext* context, const v1::ListMountsRequest* request,
                          v1::ListMountsResponse* response) override;

 private:
  Mounts& mounts_;
};

}  // namespace tarn::tunnel
