// Registration with kubelet, without the node-driver-registrar sidecar: a socket in kubelet's
// plugins_registry directory that kubelet finds by itself and asks what we are.
#pragma once

#include <atomic>
#include <string>

#include "api/pluginregistration.grpc.pb.h"

namespace tarn::csi {

class Registration final : public pluginregistration::Registration::Service {
 public:
  // `socket_path`: the CSI socket, as the host's kubelet sees it.
  Registration(std::string driver_name, std::string socket_path)
      : driver_name_(std::move(driver_name)), socket_path_(std::move(socket_path)) {}

  grpc::Status GetInfo(grpc::ServerContext*, const pluginregistration::InfoRequest*,
                       pluginregistration::PluginInfo*) override;
  grpc::Status NotifyRegistrationStatus(grpc::ServerContext*,
                                        const pluginregistration::RegistrationStatus*,
                                        pluginregistration::RegistrationStatusResponse*) override;

  // kubelet refused us; the process should end and be started again, as it will not ask a second
  // time.
  bool refused() const { return refused_; }

 private:
  const std::string driver_name_;
  const std::string socket_path_;
  std::atomic<bool> refused_{false};
};

}  // namespace tarn::csi
