// tarn-tunnel-admin: the management API from a command line, for tests and measurements.
//   tarn-tunnel-admin SOCKET open PREFIX COUNT SERVER SERVER_NAME CA_FILE
//       opens PREFIX-0, PREFIX-1 and so on, each with a certificate of its own; prints
//       "ADDRESS PORT" a line
//   tarn-tunnel-admin SOCKET list     prints "ID ADDRESS PORT CONNECTIONS LAST_ERROR" a line
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "api/tunnel.grpc.pb.h"
#include "common/files.h"
#include "common/grpc/channel.h"
#include "common/tls/identity_certificate.h"

namespace {

using namespace tarn;
using std::chrono::seconds;

int Fail(const Error& error) {
  std::fprintf(stderr, "tarn-tunnel-admin: %s\n", error.message().c_str());
  return 1;
}

// Of the usual size: with a file system and an access point.
Result<void> AddCertificate(tunnel::v1::OpenMountRequest& request) {
  tls::NewCertificate wanted{.identity = {.file_system_id = "fs-0123456789abcdef0"},
                             .now = std::chrono::system_clock::now()};
  TRY(std::string key, tls::NewPrivateKey());
  TRY(std::string certificate, tls::MakeIdentityCertificate(key, wanted));
  request.set_private_key_pem(key);
  request.set_certificate_pem(certificate);
  return Ok();
}

Result<void> Open(tunnel::v1::Tunnel::Stub& stub, char** argv) {
  TRY(std::string authority, ReadSmallFile(argv[4]));
  for (int i = 0; i < std::atoi(argv[1]); ++i) {
    tunnel::v1::OpenMountRequest request;
    request.set_mount_id(argv[0] + std::string("-") + std::to_string(i));
    request.add_servers(argv[2]);
    request.set_server_name(argv[3]);
    request.set_authority_pem(authority);
    TRY(AddCertificate(request));
    tunnel::v1::OpenMountResponse response;
    TRY(rpcs::Call(stub, &tunnel::v1::Tunnel::Stub::OpenMount, request, response, seconds{10}));
    std::printf("%s %u\n", response.address().c_str(), response.port());
  }
  return Ok();
}

Result<void> List(tunnel::v1::Tunnel::Stub& stub) {
  tunnel::v1::ListMountsResponse list;
  TRY(rpcs::Call(stub, &tunnel::v1::Tunnel::Stub::ListMounts, tunnel::v1::ListMountsRequest(), list,
                 seconds{10}));
  for (const auto& mount : list.mounts()) {
    std::printf("%s %s %u %u %s\n", mount.mount_id().c_str(), mount.address().c_str(), mount.port(),
                mount.connections(), mount.last_error().c_str());
  }
  return Ok();
}

}  // namespace

int main(int argc, char** argv) {
  bool open = argc == 8 && std::strcmp(argv[2], "open") == 0;
  bool list = argc == 3 && std::strcmp(argv[2], "list") == 0;
  if (!open && !list)
    return Fail(Error(Code::kInvalid, "see the head of tests/tunnel/admin/main.cc"));
  auto channel = rpcs::OpenChannel(argv[1], "");
  if (!channel.ok()) return Fail(channel.error());
  auto stub = tunnel::v1::Tunnel::NewStub(*channel);
  Result<void> done = open ? Open(*stub, argv + 3) : List(*stub);
  return done.ok() ? 0 : Fail(done.error());
}
