#include "csi/node/registration.h"

#include "common/log.h"

namespace tarn::csi {

grpc::Status Registration::GetInfo(grpc::ServerContext*, const pluginregistration::InfoRequest*,
                                   pluginregistration::PluginInfo* info) {
  info->set_type("CSIPlugin");
  info->set_name(driver_name_);
  info->set_endpoint(socket_path_);
  info->add_supported_versions("1.0.0");  // of the registration; CSI's own is in the service name
  return grpc::Status::OK;
}

grpc::Status Registration::NotifyRegistrationStatus(
    grpc::ServerContext*, const pluginregistration::RegistrationStatus* status,
    pluginregistration::RegistrationStatusResponse*) {
  if (status->plugin_registered()) {
    spdlog::info("kubelet registered {}", driver_name_);
  } else {
    spdlog::error("kubelet refused to register {}: {}", driver_name_, status->error());
    refused_ = true;
  }
  return grpc::Status::OK;
}

}  // namespace tarn::csi
