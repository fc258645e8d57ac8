// Tunnel: how the node plugin talks to the node's tarn-tunnel (api/tunnel.proto), which carries
// mounts through TLS.
//
// Thread-safe; a call blocks for kCallTimeout at most. kUnavailable: no tunnel answers.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "common/result.h"

namespace tarn::csi {

class Tunnel {
 public:
  static constexpr std::chrono::seconds kCallTimeout{5};

  struct OpenRequest {
    std::string id;           // 1 to 128 of A-Z a-z 0-9 . _ -
    std::string server;       // address:port
    std::string server_name;  // what its certificate must be for
    std::string authority_pem;
    std::string certificate_pem;
    std::string key_pem;  // a secret
  };
  struct Mount {
    std::string id;
    std::string address;  // "127.0.0.1:20049", where NFS clients connect
    std::string server_name;
    std::string last_error;  // why the last connection to the server failed; empty when it did not
    int connections = 0;     // of NFS clients, now
  };

  virtual ~Tunnel() = default;
  // Opens it, or gives it what is new; the address where an NFS client connects. It stays the same
  // while the mount is open.
  virtual Result<std::string> Open(const OpenRequest& request) = 0;
  // Idempotent.
  virtual Result<void> Close(const std::string& id) = 0;
  virtual Result<std::vector<Mount>> List() = 0;
};

// `endpoint`: "unix:/run/tarn-tunnel/tunnel.sock". Connects when it is first used, and again.
Result<std::unique_ptr<Tunnel>> NewTunnelClient(const std::string& endpoint);

}  // namespace tarn::csi
