// ControlServers: the control APIs of the file servers, by address. One channel a server, kept.
//
// Thread-safe; calls block for `timeout` at most. Errors as the server says them
// (common/grpc/status.h), or kUnavailable and kDeadlineExceeded.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "api/control.grpc.pb.h"
#include "common/grpc/channel.h"
#include "common/result.h"

namespace tarn::csi {

namespace control_pb = ::tarn::control::v1;

class ControlServers {
 public:
  static constexpr size_t kChannelsMax = 1000;
  // Who we are is read again at most this often while a server cannot be reached.
  static constexpr std::chrono::seconds kRereadInterval{2};

  using ReadPems = std::function<Result<rpcs::TlsPems>()>;

  // Who we are comes from `tls_dir`, or from `read_pems` when that is set. Both may be empty when
  // all servers are on Unix sockets.
  explicit ControlServers(std::string tls_dir, ReadPems read_pems = {})
      : tls_dir_(std::move(tls_dir)), read_pems_(std::move(read_pems)) {}

  // One call of api/control.proto.
  //   TRY(auto ap, servers.Call(address, &Stub::CreateAccessPoint, request, 5s));
  template <typename Request, typename Response>
  Result<Response> Call(const std::string& address,
                        grpc::Status (control_pb::Control::Stub::*method)(grpc::ClientContext*,
                                                                          const Request&,
                                                                          Response*),
                        const Request& request, std::chrono::milliseconds timeout) {
    TRY(std::shared_ptr<control_pb::Control::Stub> stub, Stub(address));
    Response response;
    Result<void> called = rpcs::Call(*stub, method, request, response, timeout, address);
    if (called.ok()) return response;
    if (called.code() == Code::kUnavailable) Forget(address);
    return std::move(called).error();
  }

 private:
  Result<std::shared_ptr<control_pb::Control::Stub>> Stub(const std::string& address);
  // After a failed connection: perhaps our certificate was renewed.
  void Forget(const std::string& address);

  const std::string tls_dir_;
  const ReadPems read_pems_;
  std::mutex mu_;
  std::map<std::string, std::shared_ptr<control_pb::Control::Stub>> stubs_;
  rpcs::TlsPems pems_;
  std::chrono::steady_clock::time_point pems_read_at_{};
};

}  // namespace tarn::csi
