// CSI Node: checks the requests and gives them to Volumes.
#pragma once

#include <string>

#include "api/csi.grpc.pb.h"
#include "csi/node/volumes.h"

namespace tarn::csi {

struct NodeOptions {
  std::string node_id;
  std::string zone;         // empty: this node announces none
  int64_t max_volumes = 0;  // 0: the orchestrator decides
};

class NodeService final : public ::csi::v1::Node::Service {
 public:
  // `volumes` must outlive it.
  NodeService(Volumes& volumes, NodeOptions options)
      : volumes_(volumes), options_(std::move(options)) {}

  grpc::Status NodeStageVolume(grpc::ServerContext*, const ::csi::v1::NodeStageVolumeRequest*,
                               ::csi::v1::NodeStageVolumeResponse*) override;
  grpc::Status NodeUnstageVolume(grpc::ServerContext*, const ::csi::v1::NodeUnstageVolumeRequest*,
                                 ::csi::v1::NodeUnstageVolumeResponse*) override;
  grpc::Status NodePublishVolume(grpc::ServerContext*, const ::csi::v1::NodePublishVolumeRequest*,
                                 ::csi::v1::NodePublishVolumeResponse*) override;
  grpc::Status NodeUnpublishVolume(grpc::ServerContext*,
                                   const ::csi::v1::NodeUnpublishVolumeRequest*,
                                   ::csi::v1::NodeUnpublishVolumeResponse*) override;
  grpc::Status NodeGetVolumeStats(grpc::ServerContext*, const ::csi::v1::NodeGetVolumeStatsRequest*,
                                  ::csi::v1::NodeGetVolumeStatsResponse*) override;
  grpc::Status NodeGetCapabilities(grpc::ServerContext*,
                                   const ::csi::v1::NodeGetCapabilitiesRequest*,
                                   ::csi::v1::NodeGetCapabilitiesResponse*) override;
  grpc::Status NodeGetInfo(grpc::ServerContext*, const ::csi::v1::NodeGetInfoRequest*,
                           ::csi::v1::NodeGetInfoResponse*) override;

 private:
  Volumes& volumes_;
  const NodeOptions options_;
};

}  // namespace tarn::csi
