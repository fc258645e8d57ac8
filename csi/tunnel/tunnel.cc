#include "csi/tunnel/tunnel.h"

#include "api/tunnel.grpc.pb.h"
#include "common/grpc/channel.h"
#include "common/grpc/endpoint.h"
#include "common/text.h"

namespace tarn::csi {
namespace {

namespace pb = ::tarn::tunnel::v1;

class TunnelClient : public Tunnel {
 public:
  TunnelClient(const std::string& endpoint, const std::shared_ptr<grpc::Channel>& channel)
      : whom_("tarn-tunnel at " + endpoint), stub_(pb::Tunnel::NewStub(channel)) {}

  Result<std::string> Open(const OpenRequest& request) override {
    pb::OpenMountRequest wire;
    wire.set_mount_id(request.id);
    wire.add_servers(request.server);
    wire.set_server_name(request.server_name);
    wire.set_authority_pem(request.authority_pem);
    wire.set_certificate_pem(request.certificate_pem);
    wire.set_private_key_pem(request.key_pem);
    pb::OpenMountResponse response;
    TRY(Call(&pb::Tunnel::Stub::OpenMount, wire, response));
    return JoinHostPort(response.address(), response.port());
  }

  Result<void> Close(const std::string& id) override {
    pb::CloseMountRequest wire;
    wire.set_mount_id(id);
    pb::CloseMountResponse response;
    return Call(&pb::Tunnel::Stub::CloseMount, wire, response);
  }

  Result<std::vector<Mount>> List() override {
    pb::ListMountsResponse response;
    TRY(Call(&pb::Tunnel::Stub::ListMounts, pb::ListMountsRequest(), response));
    std::vector<Mount> mounts;
    for (const auto& mount : response.mounts()) {
      mounts.push_back({mount.mount_id(), JoinHostPort(mount.address(), mount.port()),
                        mount.server_name(), mount.last_error(),
                        static_cast<int>(mount.connections())});
    }
    return mounts;
  }

 private:
  template <typename Request, typename Response>
  Result<void> Call(grpc::Status (pb::Tunnel::Stub::*method)(grpc::ClientContext*, const Request&,
                                                             Response*),
                    const Request& request, Response& response) {
    return rpcs::Call(*stub_, method, request, response, kCallTimeout, whom_);
  }

  const std::string whom_;
  const std::unique_ptr<pb::Tunnel::Stub> stub_;
};

}  // namespace

Result<std::unique_ptr<Tunnel>> NewTunnelClient(const std::string& endpoint) {
  TRY(std::string normal, rpcs::NormaliseEndpoint(endpoint));
  if (rpcs::SocketPath(normal).empty()) {
    return Error(Code::kInvalid, "tunnel '" + endpoint + "' must be a Unix socket");
  }
  TRY(auto channel, rpcs::OpenChannel(normal, ""));
  return std::unique_ptr<Tunnel>(std::make_unique<TunnelClient>(normal, channel));
}

}  // namespace tarn::csi
