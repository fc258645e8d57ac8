#include "tests/csi/plugin_world.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "common/grpc/testing/certificates.h"
#include "csi/mount/mount_info.h"
#include "csi/plugin.h"
#include "csi/volume_context.h"

extern char** environ;

namespace tarn::csi {
namespace {

using AccessMode = pb::VolumeCapability::AccessMode;
constexpr char kFs[] = "fs-0123456789abcdef0";

bool IsSocket(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode);
}

pb::VolumeCapability Capability() {
  pb::VolumeCapability capability;
  capability.mutable_mount();
  capability.mutable_access_mode()->set_mode(AccessMode::MULTI_NODE_MULTI_WRITER);
  return capability;
}

std::string Environment(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : otherwise;
}

template <typename Stub, typename Request, typename Response>
grpc::Status Send(Stub& stub,
                  grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                  const Request& request, Response* response) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  context.set_wait_for_ready(true);
  return (stub.*method)(&context, request, response);
}

}  // namespace

Process::Process(const std::string& program, std::vector<std::string> arguments,
                 const std::string& log) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  arguments.insert(arguments.begin(), program);
  std::vector<char*> argv;
  for (auto& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  if (posix_spawn(&pid_, program.c_str(), &actions, nullptr, argv.data(), environ) != 0) pid_ = 0;
  EXPECT_NE(pid_, 0) << program;
  posix_spawn_file_actions_destroy(&actions);
}

Process::~Process() {
  Kill();
}

void Process::Signal(int number) const {
  if (pid_ > 0) kill(pid_, number);
}

int Process::Stop() {
  Signal(SIGTERM);
  int status = 0;
  bool ended = Eventually([&] { return pid_ <= 0 || waitpid(pid_, &status, WNOHANG) == pid_; });
  if (!ended) return Kill(), -1;
  pid_ = 0;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int Process::Wait() {
  int status = 0;
  if (pid_ <= 0 || waitpid(pid_, &status, 0) != pid_) return -1;
  pid_ = 0;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void Process::Kill() {
  if (pid_ <= 0) return;
  Signal(SIGCONT);
  Signal(SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = 0;
}

World::World(bool tls, const std::string& access_keys) {
  bin = Environment("TARN_BIN", "build/release/bin");
  std::string name = Environment("TMPDIR", "/tmp") + "/tarn-e2e-XXXXXX";
  dir = mkdtemp(name.data());
  for (const char* made : {"/registry", "/kubelet/plugins_registry", "/kubelet/pods"}) {
    std::filesystem::create_directories(dir + made);
  }
  port_ = FreePort();
  std::ofstream(dir + "/registry/" + kFs + ".json")
      << R"({"fileSystemId":")" << kFs << R"(","namespace":"default","name":"shared",)"
      << R"("control":"unix:)" << dir << R"(/control.sock","nfs":"127.0.0.1:)" << port_ << "\"}";
  if (tls) {
    tokens_ = std::make_unique<identity::TokenMaker>();
    rpcs::TestAuthority().Issue(dir + "/tls", {.dns_name = std::string(kFs) + ".efs.tarn"});
    std::ofstream(dir + "/issuers.json") << tokens_->File();
    StartTunnel();
  }
  if (!access_keys.empty()) std::ofstream(dir + "/access-keys.json") << access_keys;
  StartServer();
  StartController();
}

void World::StartTunnel() {
  std::vector<std::string> arguments = {"--state-dir", dir + "/tunnel", "--socket",
                                        dir + "/tunnel/tunnel.sock"};
  tunnel = std::make_unique<Process>(bin + "/tarn-tunnel", arguments, dir + "/tunnel.log");
  EXPECT_TRUE(Eventually([&] { return IsSocket(dir + "/tunnel/tunnel.sock"); }));
}

World::~World() {
  if (testing::Test::HasFailure()) {
    for (const char* log : {"server", "controller", "tunnel", "node"}) {
      std::cerr << "--- " << log << "\n" << ReadFile(dir + "/" + log + ".log");
    }
  }
  node.reset();
  auto mounts = ReadMountInfo();
  for (auto mount = mounts->rbegin(); mount != mounts->rend(); ++mount) {
    if (mount->target.starts_with(dir)) umount2(mount->target.c_str(), MNT_DETACH);
  }
  std::error_code ignored;
  std::filesystem::remove_all(dir, ignored);
}

void World::StartServer() {
  std::vector<std::string> arguments = {"--data-dir",       dir + "/data",
                                        "--listen",         "127.0.0.1:" + std::to_string(port_),
                                        "--control-socket", dir + "/control.sock",
                                        "--file-system-id", kFs};
  if (tokens_) {
    for (const auto& more :
         {"--tls-dir=" + dir + "/tls", "--token-issuers=" + dir + "/issuers.json"}) {
      arguments.push_back(more);
    }
  }
  if (std::filesystem::exists(dir + "/access-keys.json")) {
    arguments.push_back("--access-keys=" + dir + "/access-keys.json");
  }
  server = std::make_unique<Process>(bin + "/tarn-server", arguments, dir + "/server.log");
  EXPECT_TRUE(Eventually([&] { return IsSocket(dir + "/control.sock"); }));
}

void World::StartController() {
  controller = std::make_unique<Process>(
      bin + "/tarn-csi",
      std::vector<std::string>{"controller", "--endpoint", dir + "/controller.sock",
                               "--registry-dir", dir + "/registry"},
      dir + "/controller.log");
  // After a kill the old socket is still there: what counts is that somebody answers.
  EXPECT_TRUE(Eventually([&] { return ProbePlugin(dir + "/controller.sock").ok(); }));
  if (controller_stub != nullptr) return;  // its channel connects again by itself
  controller_stub = pb::Controller::NewStub(
      grpc::CreateChannel("unix:" + dir + "/controller.sock", grpc::InsecureChannelCredentials()));
}

void World::StartNode(std::vector<std::string> more) {
  std::vector<std::string> arguments = {"node",
                                        "--endpoint",
                                        dir + "/node.sock",
                                        "--node-id",
                                        "node-a",
                                        "--kubelet-dir",
                                        dir + "/kubelet",
                                        "--mounter",
                                        Environment("TARN_MOUNTER", "fuse"),
                                        "--call-timeout",
                                        "1",
                                        "--mount-timeout",
                                        "5",
                                        "--unmount-timeout",
                                        "2"};
  if (tokens_) {
    arguments.push_back("--tunnel=" + dir + "/tunnel/tunnel.sock");
    arguments.push_back("--nfs-ca-file=" + dir + "/tls/ca.crt");
  }
  arguments.insert(arguments.end(), more.begin(), more.end());
  node = std::make_unique<Process>(bin + "/tarn-csi", arguments, dir + "/node.log");
  node_stub = pb::Node::NewStub(
      grpc::CreateChannel("unix:" + dir + "/node.sock", grpc::InsecureChannelCredentials()));
  EXPECT_TRUE(Eventually([&] { return IsSocket(dir + "/node.sock"); }));
}

namespace {

pb::CreateVolumeRequest CreateRequest(const std::string& name, int64_t bytes) {
  pb::CreateVolumeRequest request;
  request.set_name(name);
  request.mutable_capacity_range()->set_required_bytes(bytes);
  *request.add_volume_capabilities() = Capability();
  (*request.mutable_parameters())["provisioningMode"] = "efs-ap";
  (*request.mutable_parameters())["fileSystemId"] = kFs;
  return request;
}

}  // namespace

pb::Volume World::Create(const std::string& name, int64_t bytes) {
  pb::CreateVolumeResponse response;
  auto status = Send(*controller_stub, &pb::Controller::Stub::CreateVolume,
                     CreateRequest(name, bytes), &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return response.volume();
}

grpc::Status World::TryCreate(const std::string& name, std::string* id) {
  pb::CreateVolumeResponse response;
  auto status = Send(*controller_stub, &pb::Controller::Stub::CreateVolume,
                     CreateRequest(name, 1 << 30), &response);
  if (status.ok()) *id = response.volume().volume_id();
  return status;
}

grpc::Status World::TryDelete(const std::string& id) {
  pb::DeleteVolumeRequest request;
  request.set_volume_id(id);
  pb::DeleteVolumeResponse response;
  return Send(*controller_stub, &pb::Controller::Stub::DeleteVolume, request, &response);
}

grpc::Status World::Expand(const pb::Volume& volume, int64_t bytes) {
  pb::ControllerExpandVolumeRequest request;
  request.set_volume_id(volume.volume_id());
  request.mutable_capacity_range()->set_required_bytes(bytes);
  pb::ControllerExpandVolumeResponse response;
  return Send(*controller_stub, &pb::Controller::Stub::ControllerExpandVolume, request, &response);
}

std::string World::StagingPath(const pb::Volume& volume) const {
  return dir + "/kubelet/plugins/csi/" + volume.volume_id().substr(volume.volume_id().size() - 17) +
         "/globalmount";
}

std::string World::TargetPath(const std::string& pod) const {
  return dir + "/kubelet/pods/" + pod + "/volumes/mount";
}

grpc::Status World::Stage(const pb::Volume& volume) {
  pb::NodeStageVolumeRequest request;
  request.set_volume_id(volume.volume_id());
  request.set_staging_target_path(StagingPath(volume));
  *request.mutable_volume_capability() = Capability();
  *request.mutable_volume_context() = volume.volume_context();
  pb::NodeStageVolumeResponse response;
  return Send(*node_stub, &pb::Node::Stub::NodeStageVolume, request, &response);
}

grpc::Status World::Publish(const pb::Volume& volume, const std::string& pod, bool read_only) {
  pb::NodePublishVolumeRequest request;
  request.set_volume_id(volume.volume_id());
  request.set_staging_target_path(StagingPath(volume));
  request.set_target_path(TargetPath(pod));
  request.set_readonly(read_only);
  *request.mutable_volume_capability() = Capability();
  *request.mutable_volume_context() = volume.volume_context();
  pb::NodePublishVolumeResponse response;
  return Send(*node_stub, &pb::Node::Stub::NodePublishVolume, request, &response);
}

std::string World::Token(const std::string& service_account, std::chrono::seconds life) const {
  size_t slash = service_account.find('/');
  auto claims =
      tokens_->Claims(service_account.substr(0, slash), service_account.substr(slash + 1));
  auto now = std::time(nullptr);
  for (const char* claim : {"iat", "nbf"}) claims[claim] = now - 10;
  claims["exp"] = now + life.count();
  return tokens_->Sign(claims);
}

grpc::Status World::PublishAs(const pb::Volume& volume, const std::string& pod,
                              const std::string& service_account) {
  pb::NodePublishVolumeRequest request;
  request.set_volume_id(volume.volume_id());
  request.set_staging_target_path(StagingPath(volume));
  request.set_target_path(TargetPath(pod));
  *request.mutable_volume_capability() = Capability();
  auto& context = *request.mutable_volume_context();
  context = volume.volume_context();
  context["csi.storage.k8s.io/pod.name"] = pod;
  context["csi.storage.k8s.io/pod.namespace"] =
      service_account.substr(0, service_account.find('/'));
  context[kTokensKey] = R"({"tarn.dev":{"token":")" + Token(service_account) + R"("}})";
  pb::NodePublishVolumeResponse response;
  return Send(*node_stub, &pb::Node::Stub::NodePublishVolume, request, &response);
}

bool World::PutPolicy(const std::string& policy) const {
  if (!WriteFile(dir + "/policy.json", policy)) return false;
  Process put(bin + "/tarnctl",
              {"--server", "unix:" + dir + "/control.sock", "policy", "put", kFs, "--file",
               dir + "/policy.json"},
              dir + "/tarnctl.log");
  return put.Wait() == 0;
}

grpc::Status World::Unpublish(const pb::Volume& volume, const std::string& pod) {
  pb::NodeUnpublishVolumeRequest request;
  request.set_volume_id(volume.volume_id());
  request.set_target_path(TargetPath(pod));
  pb::NodeUnpublishVolumeResponse response;
  return Send(*node_stub, &pb::Node::Stub::NodeUnpublishVolume, request, &response);
}

grpc::Status World::Unstage(const pb::Volume& volume) {
  pb::NodeUnstageVolumeRequest request;
  request.set_volume_id(volume.volume_id());
  request.set_staging_target_path(StagingPath(volume));
  pb::NodeUnstageVolumeResponse response;
  return Send(*node_stub, &pb::Node::Stub::NodeUnstageVolume, request, &response);
}

grpc::Status World::Stats(const pb::Volume& volume, const std::string& pod,
                          pb::NodeGetVolumeStatsResponse* response) {
  pb::NodeGetVolumeStatsRequest request;
  request.set_volume_id(volume.volume_id());
  request.set_volume_path(TargetPath(pod));
  response->Clear();
  return Send(*node_stub, &pb::Node::Stub::NodeGetVolumeStats, request, response);
}

pid_t World::FusePid(const pb::Volume& volume) const {
  return FusePidAt(StagingPath(volume));
}

pid_t World::FusePidAt(const std::string& target) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::string words = ReadFile(entry.path().string() + "/cmdline");
    // A helper that starts one has the same arguments; the process itself is called by its verb.
    if (words.starts_with(std::string("tarn-csi\0fuse\0", 14)) &&
        words.find(target) != std::string::npos) {
      return std::atoi(entry.path().filename().c_str());
    }
  }
  return 0;
}

size_t World::MountCount() const {
  auto mounts = ReadMountInfo();
  return static_cast<size_t>(std::count_if(mounts->begin(), mounts->end(), [&](const auto& mount) {
    return mount.target.starts_with(dir);
  }));
}

int FreePort() {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
  socklen_t length = sizeof at;
  getsockname(fd, reinterpret_cast<sockaddr*>(&at), &length);
  close(fd);
  return ntohs(at.sin_port);
}

int HttpStatus(int port, const std::string& path) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  at.sin_port = htons(static_cast<uint16_t>(port));
  std::string request = "GET " + path + " HTTP/1.0\r\n\r\n";
  char answer[16] = "";
  int status = 0;
  if (connect(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0 &&
      write(fd, request.data(), request.size()) == static_cast<ssize_t>(request.size()) &&
      recv(fd, answer, sizeof answer - 1, MSG_WAITALL) > 9) {
    status = std::atoi(answer + 9);
  }
  close(fd);
  return status;
}

bool WriteFile(const std::string& path, const std::string& text) {
  int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return false;
  bool good = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  good = fsync(fd) == 0 && good;
  return close(fd) == 0 && good;
}

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

}  // namespace tarn::csi
