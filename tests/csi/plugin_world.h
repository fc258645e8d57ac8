// For node_e2e.cc: a server, a controller and a node plugin as processes, in a directory of their
// own. Loopback and ephemeral ports only.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "api/csi.grpc.pb.h"
#include "server/identity/testing/token_maker.h"

namespace tarn::csi {

namespace pb = ::csi::v1;

// A child process, killed when this goes.
class Process {
 public:
  Process(const std::string& program, std::vector<std::string> arguments, const std::string& log);
  ~Process();
  void Signal(int number) const;
  // Sends SIGTERM; the exit status, or -1 when it had to be killed.
  int Stop();
  // For a process that ends by itself; its exit status.
  int Wait();
  void Kill();
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = 0;
};

class World {
 public:
  // `tls`: the server has a certificate and knows whose tokens count, and `tunnel` runs; the node
  // plugin mounts through it. `access_keys`: the text of the server's file of them, if any.
  explicit World(bool tls = false, const std::string& access_keys = {});
  ~World();

  void StartServer();
  void StartController();
  void StartTunnel();
  void StartNode(std::vector<std::string> more = {});

  // Through the controller. The volume's parameters are the default ones.
  pb::Volume Create(const std::string& name, int64_t bytes);
  // One try of it, which may fail; the volume's id goes to `id`.
  grpc::Status TryCreate(const std::string& name, std::string* id);
  grpc::Status TryDelete(const std::string& id);
  grpc::Status Expand(const pb::Volume& volume, int64_t bytes);

  grpc::Status Stage(const pb::Volume& volume);
  grpc::Status Publish(const pb::Volume& volume, const std::string& pod, bool read_only = false);
  // For a pod of that ServiceAccount ("namespace/name"), whose token kubelet would bring.
  grpc::Status PublishAs(const pb::Volume& volume, const std::string& pod,
                         const std::string& service_account);
  // As tarnctl does.
  bool PutPolicy(const std::string& policy) const;
  grpc::Status Unpublish(const pb::Volume& volume, const std::string& pod);
  grpc::Status Unstage(const pb::Volume& volume);
  grpc::Status Stats(const pb::Volume& volume, const std::string& pod,
                     pb::NodeGetVolumeStatsResponse* response);

  std::string StagingPath(const pb::Volume& volume) const;
  std::string TargetPath(const std::string& pod) const;
  // Of the FUSE process that serves the volume; 0: none.
  pid_t FusePid(const pb::Volume& volume) const;
  // The same, of the one that is mounted at `target`.
  static pid_t FusePidAt(const std::string& target);
  size_t MountCount() const;

  // Of that ServiceAccount ("namespace/name"), for so long.
  std::string Token(const std::string& service_account,
                    std::chrono::seconds life = std::chrono::hours(1)) const;

  std::string dir, bin;
  std::unique_ptr<Process> server, controller, tunnel, node;
  std::unique_ptr<pb::Node::Stub> node_stub;
  std::unique_ptr<pb::Controller::Stub> controller_stub;

 private:
  int port_ = 0;
  std::unique_ptr<identity::TokenMaker> tokens_;  // with TLS only
};

// Until `condition` holds; false after ten seconds (or `limit`).
template <typename Condition>
bool Eventually(Condition condition, std::chrono::milliseconds limit = std::chrono::seconds(10));

int FreePort();
int HttpStatus(int port, const std::string& path);  // of a GET on loopback; 0: no answer
bool WriteFile(const std::string& path, const std::string& text);  // false: errno says why
std::string ReadFile(const std::string& path);                     // "" when it cannot be read

}  // namespace tarn::csi

#include <thread>

template <typename Condition>
bool tarn::csi::Eventually(Condition condition, std::chrono::milliseconds limit) {
  auto until = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}
