// The file server as one object: engine, control API, NFS, health and metrics, put together.
#pragma once

#include <atomic>
#include <memory>

#include "common/clock.h"
#include "common/grpc/server.h"
#include "common/http_endpoint.h"
#include "common/result.h"
#include "server/access/access_control.h"
#include "server/control/manager.h"
#include "server/daemon/options.h"
#include "server/identity/watched_file.h"
#include "server/keys/key_ring.h"
#include "server/nfs4/server.h"
#include "server/rpc/server.h"
#include "server/vfs/file_system.h"

namespace grpc {
class Service;
}

namespace tarn::daemon {

class Daemon {
 public:
  // Serves when it returns. Errors name the flag at fault and the fix, in one line.
  static Result<std::unique_ptr<Daemon>> Start(const Options& options);
  // Takes no new calls, ends those that run, and closes the engine with everything on the disk.
  ~Daemon();

 private:
  explicit Daemon(const Options& options);
  Result<void> Run();
  Result<void> StartHttp();
  Result<void> OpenEngine();
  Result<void> StartAccess();
  Result<void> StartNfs();
  Result<void> StartControl();
  std::string Metrics();

  const Options options_;
  const Clock& clock_ = SystemClock();
  std::atomic<bool> ready_ = false;
  Clock::Nanoseconds started_{0};
  uint32_t connections_max_ = 0;
  uint32_t engine_files_ = 0;
  uint16_t nfs_port_ = 0;
  audit::Journal journal_{clock_};
  // Made in this order, destroyed in the other.
  std::unique_ptr<keys::KeyRing> keys_;
  std::unique_ptr<identity::WatchedFile<identity::UserGroups>> user_groups_;
  std::unique_ptr<vfs::Engine> engine_;
  std::unique_ptr<control::Manager> manager_;
  std::unique_ptr<identity::WatchedFile<identity::TokenIssuers>> issuers_;
  std::unique_ptr<identity::WatchedFile<identity::AccessKeys>> access_keys_;
  std::unique_ptr<access::AccessControl> access_;
  std::unique_ptr<nfs4::Server> nfs_;
  std::unique_ptr<rpc::Server> rpc_;
  std::unique_ptr<grpc::Service> service_;
  std::unique_ptr<rpcs::Server> control_;
  std::unique_ptr<HttpEndpoint> http_;
};

}  // namespace tarn::daemon
