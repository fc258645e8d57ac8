// For tests: a tunnel whose mounts are a table.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "csi/tunnel/tunnel.h"

namespace tarn::csi {

class FakeTunnel : public Tunnel {
 public:
  struct Opened {
    OpenRequest request;
    std::string address;
    int times = 0;
  };

  Result<std::string> Open(const OpenRequest& request) override {
    std::lock_guard guard(mu_);
    TRY(answer);
    auto& mount = mounts[request.id];
    if (mount.address.empty()) mount.address = "127.0.0.1:" + std::to_string(next_port_++);
    mount.request = request;
    ++mount.times;
    return mount.address;
  }
  Result<void> Close(const std::string& id) override {
    std::lock_guard guard(mu_);
    TRY(answer);
    mounts.erase(id);
    return Ok();
  }
  Result<std::vector<Mount>> List() override {
    std::lock_guard guard(mu_);
    TRY(answer);
    std::vector<Mount> list;
    for (const auto& [id, mount] : mounts) {
      list.push_back({id, mount.address, mount.request.server_name, last_error, 0});
    }
    return list;
  }

  std::map<std::string, Opened> mounts;
  Result<void> answer = Ok();
  std::string last_error;

 private:
  std::mutex mu_;
  int next_port_ = 20049;
};

}  // namespace tarn::csi
