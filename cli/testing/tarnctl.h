// Tests of tarnctl run it against a real control service on a Unix socket, over the memory engine.
#pragma once

#include <grpcpp/impl/codegen/service_type.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "common/grpc/server.h"
#include "server/control/service.h"
#include "server/control/testing/world.h"

namespace tarn::cli {

class Tarnctl : public control::World {
 protected:
  Tarnctl() {
    char name[] = "/tmp/tarn-cli-XXXXXX";
    dir_ = mkdtemp(name);
    service_ = control::NewService(*manager_);
    server_ =
        rpcs::Server::Start({{.endpoint = Socket(), .tls_dir = {}}}, {service_.get()}).value();
  }
  ~Tarnctl() override {
    server_ = nullptr;
    std::filesystem::remove_all(dir_);
  }
  std::string Socket() const { return "unix:" + dir_ + "/c.sock"; }

  // Runs "tarnctl --server … words"; its exit code.
  int Run(std::vector<std::string> words) {
    words.insert(words.begin(), {"tarnctl", "--server", Socket()});
    std::vector<const char*> argv;
    for (const std::string& word : words) argv.push_back(word.c_str());
    std::ostringstream out, err;
    int code = RunTarnctl(static_cast<int>(argv.size()), argv.data(), out, err);
    out_ = out.str();
    err_ = err.str();
    return code;
  }
  nlohmann::json Json(std::vector<std::string> words) {
    words.insert(words.end(), {"--output", "json"});
    EXPECT_EQ(Run(words), 0) << err_;
    return nlohmann::json::parse(out_);
  }

  std::string dir_, out_, err_;
  std::unique_ptr<grpc::Service> service_;
  std::unique_ptr<rpcs::Server> server_;
};

}  // namespace tarn::cli
