#include "tests/tunnel/world.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
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
  Authority().Issue(tls_.path(), {.dns_name = kServerName});
  Start(port);
}

void FileServer::Start(uint16_t port) {
  process_ = std::make_unique<daemon::ServerProcess>(
      TARN_SERVER,
      std::vector<std::string>{"--data-dir", data_ / "data", "--listen",
                               "127.0.0.1:" + std::to_string(port), "--file-system-id", kFileSystem,
                               "--tls-dir", tls_.path(), "--tls", "required", "--lease", "10",
                               "--http-listen", "127.0.0.1:0"});
  EXPECT_TRUE(process_->WaitServing()) << process_->Output();
  port_ = process_->nfs_port();
}

uint64_t FileServer::Metric(const std::string& name) const {
  return MetricAt("127.0.0.1", process_->http_port(), name);
}

uint64_t MetricAt(const std::string& address, uint16_t port, const std::string& name) {
  v1::OpenMountResponse at;
  at.set_address(address);
  at.set_port(port);
  Fd fd = ConnectTo(at);
  SendAll(fd.get(), "GET /metrics HTTP/1.0\r\n\r\n");
  std::string text = ReceiveExactly(fd.get(), 1 << 20);
  size_t at_line = text.find("\n" + name + " ");
  if (at_line == std::string::npos) return 0;
  return std::strtoull(text.c_str() + at_line + name.size() + 2, nullptr, 10);
}

std::string NullCall(uint32_t xid) {
  std::string call;
  for (uint32_t word : {0x80000000u | 40, xid, 0u, 2u, 100003u, 4u, 0u, 0u, 0u, 0u, 0u}) {
    uint32_t big = htonl(word);
    call.append(reinterpret_cast<const char*>(&big), sizeof big);
  }
  return call;
}

Fd ConnectTo(const v1::OpenMountResponse& mount) {
  Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  timeval wait{.tv_sec = 20, .tv_usec = 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(mount.port()));
  inet_pton(AF_INET, mount.address().c_str(), &to.sin_addr);
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) return Fd();
  return fd;
}

bool SendAll(int fd, const std::string& bytes) {
  for (size_t at = 0; at < bytes.size();) {
    ssize_t sent = send(fd, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
    if (sent <= 0) return false;
    at += static_cast<size_t>(sent);
  }
  return true;
}

std::string ReceiveExactly(int fd, size_t bytes) {
  std::string all(bytes, 0);
  size_t at = 0;
  while (at < bytes) {
    ssize_t got = recv(fd, all.data() + at, bytes - at, 0);
    if (got <= 0) break;
    at += static_cast<size_t>(got);
  }
  all.resize(at);
  return all;
}

bool Closed(int fd) {
  char byte = 0;
  ssize_t got = recv(fd, &byte, 1, 0);
  return got == 0 || (got < 0 && errno == ECONNRESET);
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

bool TunnelClient::Answers() {
  v1::ListMountsResponse response;
  return rpcs::Call(*stub_, &v1::Tunnel::Stub::ListMounts, v1::ListMountsRequest(), response,
                    seconds{10})
      .ok();
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
