#include "common/grpc/server.h"

#include <fcntl.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "common/grpc/endpoint.h"
#include "common/grpc/tls.h"

namespace tarn::rpcs {
namespace {

std::string Reason() {
  return std::strerror(errno);
}

// The right to a socket path. gRPC unlinks an existing socket before it binds, so without this a
// second process would take the first one's path away.
class SocketLock {
 public:
  static Result<std::unique_ptr<SocketLock>> Take(const std::string& path) {
    // kubelet makes the folder for plugins, not the one of each.
    std::error_code failed;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path(), failed);
    std::string lock_path = path + ".lock";
    int fd = open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
      return Error(Code::kUnavailable, "cannot make " + lock_path + ": " + Reason());
    }
    auto lock = std::unique_ptr<SocketLock>(new SocketLock(fd, path));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
      lock->owned_ = false;
      return Error(Code::kInUse,
                   "another process serves the socket " + path + ": stop it, or use another path");
    }
    struct stat info {};
    if (lstat(path.c_str(), &info) == 0 && !S_ISSOCK(info.st_mode)) {
      lock->owned_ = false;
      return Error(Code::kUnavailable, path + " is there and is no socket: remove it");
    }
    return lock;
  }
  // The lock file stays: removing it would let two processes lock two files of one name.
  ~SocketLock() {
    if (owned_) unlink(path_.c_str());
    close(fd_);
  }

 private:
  SocketLock(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  int fd_;
  std::string path_;
  bool owned_ = true;
};

class GrpcServer : public Server {
 public:
  ~GrpcServer() override {
    if (server_) server_->Shutdown(std::chrono::system_clock::now() + kShutdownGrace);
    server_.reset();
  }

  Result<void> Run(const std::vector<ListenAt>& listeners,
                   const std::vector<grpc::Service*>& services) {
    grpc::ServerBuilder builder;
    TRY(AddListeners(builder, listeners));
    grpc::ResourceQuota quota;
    quota.SetMaxThreads(kServerThreadsMax);
    builder.SetResourceQuota(quota);
    // Without this two servers could bind one port and share its connections by chance.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    // Clients of ours ping every 30 s; gRPC's default takes more than one in 5 minutes for abuse.
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    for (grpc::Service* service : services) builder.RegisterService(service);
    server_ = builder.BuildAndStart();
    return CheckBound(listeners);
  }

  uint16_t port(size_t i) const override { return static_cast<uint16_t>(ports_[i]); }

 private:
  Result<void> AddListeners(grpc::ServerBuilder& builder, const std::vector<ListenAt>& listeners) {
    ports_.resize(listeners.size());
    for (size_t i = 0; i < listeners.size(); ++i) {
      TRY(std::string endpoint, NormaliseEndpoint(listeners[i].endpoint));
      endpoints_.push_back(endpoint);
      std::string path(SocketPath(endpoint));
      if (!path.empty()) {
        TRY(std::unique_ptr<SocketLock> lock, SocketLock::Take(path));
        locks_.push_back(std::move(lock));
        builder.AddListeningPort(endpoint, grpc::InsecureServerCredentials(), &ports_[i]);
        continue;
      }
      if (listeners[i].tls_dir.empty()) {
        return Error(Code::kInvalid, "'" + endpoint + "' needs a TLS directory");
      }
      TRY(auto credentials, ServerTls(listeners[i].tls_dir));
      builder.AddListeningPort(endpoint, credentials, &ports_[i]);
    }
    return Ok();
  }

  Result<void> CheckBound(const std::vector<ListenAt>& listeners) {
    for (size_t i = 0; i < listeners.size(); ++i) {
      std::string path(SocketPath(endpoints_[i]));
      // The port is 0 when the bind failed; a socket has 1.
      if (server_ == nullptr || ports_[i] == 0) {
        bool only = listeners.size() == 1;
        return Error(Code::kUnavailable, "cannot listen for gRPC on " +
                                             (only ? endpoints_[0] : Joined()) +
                                             ": the address is in use or not of this machine");
      }
      if (!path.empty() && chmod(path.c_str(), listeners[i].socket_mode) != 0) {
        return Error(Code::kUnavailable, "cannot set the mode of " + path + ": " + Reason());
      }
      if (!path.empty()) ports_[i] = 0;
    }
    return Ok();
  }

  std::string Joined() const {
    std::string all;
    for (const std::string& endpoint : endpoints_) {
      all.append(all.empty() ? "" : " and ").append(endpoint);
    }
    return all;
  }

  std::vector<std::unique_ptr<SocketLock>> locks_;
  std::vector<int> ports_;  // filled by BuildAndStart
  std::vector<std::string> endpoints_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace

Result<std::unique_ptr<Server>> Server::Start(const std::vector<ListenAt>& listeners,
                                              const std::vector<grpc::Service*>& services) {
  auto server = std::make_unique<GrpcServer>();
  TRY(server->Run(listeners, services));
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace tarn::rpcs
