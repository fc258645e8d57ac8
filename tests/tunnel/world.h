// A node and its file server for tests: tarn-server with TLS, a tunnel in this process or as one of
// its own, and NFS clients that know nothing of TLS.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "api/tunnel.grpc.pb.h"
#include "common/grpc/channel.h"
#include "common/grpc/testing/certificates.h"
#include "common/testing/eventually.h"
#include "server/daemon/testing/server_process.h"
#include "tests/nfs/client/client.h"
#include "tunnel/daemon.h"
#include "tunnel/loop.h"

namespace tarn::tunnel {

inline constexpr char kFileSystem[] = "fs-0123456789abcdef0";
inline constexpr char kServerName[] = "fs-0123456789abcdef0.efs.tarn";

std::string FileText(const std::string& path);
// What /metrics there says of `name`, such as "tarn_tls_handshakes_total"; 0: nothing.
uint64_t MetricAt(const std::string& address, uint16_t port, const std::string& name);

// A tarn-server that speaks only TLS, with a certificate for kServerName.
class FileServer {
 public:
  // On a port of the system's choice, or on `port`.
  explicit FileServer(uint16_t port = 0);
  void Stop() { process_.reset(); }
  void Start(uint16_t port);
  uint16_t port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  std::string authority() const { return FileText(tls_.path() + "/ca.crt"); }
  uint64_t Metric(const std::string& name) const;
  void Signal(int signal) const { process_->Signal(signal); }

 private:
  daemon::TempDir data_, tls_;
  uint16_t port_ = 0;
  std::unique_ptr<daemon::ServerProcess> process_;
};

struct ClientCertificate {
  std::string certificate, key;
};
// Of a pod's mount, without a token.
ClientCertificate NewClientCertificate();

// The management API as the CSI driver uses it.
class TunnelClient {
 public:
  explicit TunnelClient(const std::string& socket);
  Result<v1::OpenMountResponse> Open(const v1::OpenMountRequest& request);
  Result<void> Close(const std::string& mount_id);
  v1::ListMountsResponse List();
  // False: nobody manages just now.
  bool Answers();
  v1::Mount Show(const std::string& mount_id);

 private:
  std::unique_ptr<v1::Tunnel::Stub> stub_;
};

v1::OpenMountRequest RequestFor(const FileServer& server, const std::string& mount_id);

// Bounds that a test can wait for.
Times ShortTimes();

// Where a tunnel's state and socket are.
struct Place {
  daemon::TempDir dir;
  std::string state() const { return dir / "state"; }
  std::string socket() const { return dir / "tunnel.sock"; }
  Options options() const {
    return {.state_dir = state(),
            .socket = socket(),
            .loopback = Loopback(),
            .metrics = {},
            .times = ShortTimes()};
  }
  // Of this process alone, so that tests may run beside each other.
  static std::string Loopback();
};

// NULL of NFS version 4, a record; its answer has kNullReplyBytes.
std::string NullCall(uint32_t xid);
inline constexpr size_t kNullReplyBytes = 28;

// A plain TCP client of a mount. Descriptors are -1 when it is refused.
Fd ConnectTo(const v1::OpenMountResponse& mount);
// All of them, within 20 s.
bool SendAll(int fd, const std::string& bytes);
std::string ReceiveExactly(int fd, size_t bytes);
// The tunnel ended it, within 20 s.
bool Closed(int fd);

nfs_client::ClientOptions Through(const v1::OpenMountResponse& mount,
                                  const std::string& owner = "client");

}  // namespace tarn::tunnel
