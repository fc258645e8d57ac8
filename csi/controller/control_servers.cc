#include "csi/controller/control_servers.h"

#include "common/grpc/endpoint.h"
#include "common/log.h"

namespace tarn::csi {

Result<std::shared_ptr<control_pb::Control::Stub>> ControlServers::Stub(
    const std::string& address) {
  std::lock_guard guard(mu_);
  auto known = stubs_.find(address);
  if (known != stubs_.end()) return known->second;
  TRY(std::string endpoint, rpcs::NormaliseEndpoint(address));
  bool needs_pems = rpcs::SocketPath(endpoint).empty() && read_pems_ != nullptr;
  if (needs_pems && pems_.key.empty()) {
    TRY(pems_, read_pems_());
    pems_read_at_ = std::chrono::steady_clock::now();
  }
  Result<std::shared_ptr<grpc::Channel>> channel =
      needs_pems ? rpcs::OpenChannel(endpoint, pems_) : rpcs::OpenChannel(endpoint, tls_dir_);
  if (!channel.ok()) {
    // Files that the operator is yet to write are no fault of the request.
    return Error(Code::kUnavailable, "cannot call the control API: " + channel.error().message());
  }
  if (stubs_.size() >= kChannelsMax) stubs_.erase(stubs_.begin());
  std::shared_ptr<control_pb::Control::Stub> stub = control_pb::Control::NewStub(*channel);
  stubs_[address] = stub;
  return stub;
}

void ControlServers::Forget(const std::string& address) {
  std::lock_guard guard(mu_);
  auto now = std::chrono::steady_clock::now();
  if (!read_pems_ || now - pems_read_at_ < kRereadInterval) return;
  pems_read_at_ = now;
  auto fresh = read_pems_();
  if (!fresh.ok() || *fresh == pems_) return;
  spdlog::info("control API: using the renewed certificate for {}", address);
  pems_ = std::move(fresh).value();
  stubs_.clear();
}

}  // namespace tarn::csi
