#include "tests/tunnel/world.h"

#include <fstream>
#include <sstream>

#include "common/tls/identity_certificate.h"

namespace tarn::tunnel {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const rpcs::TestAuthority& Authority() {
  static const rpcs::TestAuthority authority;
  return authority;
}

}  // namespace

std::string FileText(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

FileServer::FileServer(uint16_t port) {
  Authority().Issue(tls_.path(), kServerName);
  Start(port);
}

void FileServer::Start(uint16_t port) {
  process_ = std::make_unique<daemon::ServerProcess>(
      TARN_SERVER,
      std::vector<std::string>{"--data-dir", data_ / "data", "--listen",
                               "127.0.0.1:" + std::to_string(port), "--file-system-id", kFileSystem,
                               "--tls-dir", tls_.path(), "--tls", "required", "--lease", "10"});
  EXPECT_TRUE(process_->WaitServing()) << process_->Output();
  port_ = process_->nfs_port();
}

ClientCertificate NewClientCertificate() {
  ClientCertificate made;
  made.key = tls::NewPrivateKey().value();
  made.certificate =
      tls::MakeIdentityCertificate(made.key, {.identity = {.file_system_id = kFileSystem},
                                              .now = std::chrono::system_clock::now()})
          .value();
  return made;
}

std::string Place::Loopback() {
  auto pid = static_cast<unsigned>(getpid());
  return "127." + std::to_string(1 + (pid >> 8) % 250) + "." + std::to_string(pid & 0xff) + ".1";
}

TunnelClient::TunnelClient(const std::string& socket)
    : stub_(v1::Tunnel::NewStub(rpcs::OpenChannel(socket, "").value())) {}

Result<v1::OpenMountResponse> TunnelClient::Open(const v1::OpenMountRequest& request) {
  v1::OpenMountResponse response;
  TRY(rpcs::Call(*stub_, &v1::Tunnel::Stub::OpenMount, request, response, seconds{10}));
  return response;
}

Result<void> TunnelClient::Close(const std::string& mount_id) {
  v1::CloseMountRequest request;
  request.set_mount_id(mount_id);
  v1::CloseMountResponse response;
  return rpcs::Call(*stub_, &v1::Tunnel::Stub::CloseMount, request, response, seconds{10});
}

v1::ListMountsResponse TunnelClient::List() {
  v1::ListMountsResponse response;
  auto listed = rpcs::Call(*stub_, &v1::Tunnel::Stub::ListMounts, v1::ListMountsRequest(), response,
                           seconds{10});
  EXPECT_TRUE(listed.ok()) << listed.error().message();
  return response;
}

v1::Mount TunnelClient::Show(const std::string& mount_id) {
  const v1::ListMountsResponse list = List();
  for (const v1::Mount& mount : list.mounts()) {
    if (mount.mount_id() == mount_id) return mount;
  }
  ADD_FAILURE() << mount_id << " is not open";
  return {};
}

v1::OpenMountRequest RequestFor(const FileServer& server, const std::string& mount_id) {
  v1::OpenMountRequest request;
  request.set_mount_id(mount_id);
  request.add_servers(server.address());
  request.set_server_name(kServerName);
  request.set_authority_pem(server.authority());
  ClientCertificate client = NewClientCertificate();
  request.set_certificate_pem(client.certificate);
  request.set_private_key_pem(client.key);
  return request;
}

Times ShortTimes() {
  Times times;
  times.retry_min = milliseconds{10};
  times.retry_max = milliseconds{50};
  times.unanswered = milliseconds{1500};
  times.quiet = milliseconds{500};
  times.move_retry = milliseconds{500};
  times.hand_over = milliseconds{2000};
  return times;
}

nfs_client::ClientOptions Through(const v1::OpenMountResponse& mount, const std::string& owner) {
  nfs_client::ClientOptions options;
  options.address = mount.address();
  options.port = static_cast<uint16_t>(mount.port());
  options.owner = owner;
  return options;
}

}  // namespace tarn::tunnel
