// A World whose control API is served as tarn-server does: on a Unix socket, and on TCP with mutual
// TLS.
#pragma once

#include <grpcpp/impl/codegen/service_type.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <string>

#include "common/grpc/server.h"
#include "common/grpc/testing/certificates.h"
#include "server/control/service.h"
#include "server/control/testing/world.h"

namespace tarn::control {

class ServedWorld : public World {
 protected:
  ServedWorld() {
    char name[] = "/tmp/tarn-control-XXXXXX";
    dir_ = mkdtemp(name);
    authority_.Issue(dir_ + "/server");
    service_ = NewService(*manager_);
    auto server = rpcs::Server::Start({{.endpoint = Socket(), .tls_dir = {}},
                                       {.endpoint = "127.0.0.1:0", .tls_dir = dir_ + "/server"}},
                                      {service_.get()});
    EXPECT_TRUE(server.ok()) << server.error().ToString();
    server_ = std::move(server).value();
  }
  ~ServedWorld() override {
    server_ = nullptr;
    std::filesystem::remove_all(dir_);
  }

  std::string Socket() const { return dir_ + "/control.sock"; }
  std::string Tcp() const { return "127.0.0.1:" + std::to_string(server_->port(1)); }

  std::string dir_;
  rpcs::TestAuthority authority_;  // trusted on TCP
  std::unique_ptr<grpc::Service> service_;
  std::unique_ptr<rpcs::Server> server_;
};

}  // namespace tarn::control
