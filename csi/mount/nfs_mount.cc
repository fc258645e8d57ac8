#include "csi/mount/nfs_mount.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <cstring>

#include "common/text.h"
#include "csi/mount/mount_options.h"

namespace tarn::csi {
namespace {

struct Addresses {
  std::string server;
  std::string client;  // the one of ours that reaches it; may be empty
};

std::string Numeric(const sockaddr* address, socklen_t length) {
  char text[NI_MAXHOST] = "";
  getnameinfo(address, length, text, sizeof text, nullptr, 0, NI_NUMERICHOST);
  return text;
}

// The kernel takes addresses only. A connected datagram socket tells the source address of the
// route and sends nothing.
Result<Addresses> Resolve(const HostPort& at) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  int failed = getaddrinfo(at.host.c_str(), std::to_string(at.port).c_str(), &hints, &found);
  if (failed != 0) {
    return Error(Code::kUnavailable,
                 "cannot resolve the NFS server '" + at.host + "': " + gai_strerror(failed));
  }
  Addresses addresses{Numeric(found->ai_addr, found->ai_addrlen), ""};
  int fd = socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) == 0) {
    sockaddr_storage own{};
    socklen_t length = sizeof own;
    auto* address = reinterpret_cast<sockaddr*>(&own);
    if (getsockname(fd, address, &length) == 0) addresses.client = Numeric(address, length);
  }
  if (fd >= 0) close(fd);
  freeaddrinfo(found);
  return addresses;
}

Error MountFailed(const std::string& source, const std::string& target, int number) {
  std::string what = "Could not mount \"" + source + "\" at \"" + target + "\": ";
  switch (number) {
    case ENODEV:
      return Error(Code::kNotSupported, what + "this kernel has no NFS client");
    case ENOENT:
      return Error(Code::kNotFound, what + "the server has no such export");
    case EACCES:
    case EPERM:
      return Error(Code::kDenied, what + "the server denies access");
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ETIMEDOUT:
      return Error(Code::kUnavailable, what + std::strerror(number));
    default:
      return Error(Code::kInternal, what + std::strerror(number));
  }
}

}  // namespace

Result<HostPort> SplitHostPort(const std::string& text) {
  HostPort at;
  std::string port;
  if (text.starts_with('[')) {
    size_t close = text.find(']');
    if (close == std::string::npos) return Error(Code::kInvalid, "'" + text + "' lacks a ]");
    at.host = text.substr(1, close - 1);
    if (close + 1 < text.size() && text[close + 1] != ':') {
      return Error(Code::kInvalid, "'" + text + "' is not [address]:port");
    }
    if (close + 2 <= text.size()) port = text.substr(close + 2);
  } else if (size_t colon = text.find(':');
             colon != std::string::npos && text.find(':', colon + 1) == std::string::npos) {
    at.host = text.substr(0, colon);
    port = text.substr(colon + 1);
  } else {
    at.host = text;  // no port; an IPv6 address may go without brackets
    in6_addr ignored{};
    if (text.find(':') != std::string::npos && inet_pton(AF_INET6, text.c_str(), &ignored) != 1) {
      return Error(Code::kInvalid, "'" + text + "' is not address:port");
    }
  }
  if (!port.empty()) {
    auto [end, failed] = std::from_chars(port.data(), port.data() + port.size(), at.port);
    if (failed != std::errc() || end != port.data() + port.size() || at.port < 1 ||
        at.port > 65535) {
      return Error(Code::kInvalid, "'" + text + "' has no port from 1 to 65535");
    }
  }
  bool name_only = at.host.find_first_not_of(
                       "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                       "0123456789.:-_%") == std::string::npos;
  if (at.host.empty() || !name_only) {
    return Error(Code::kInvalid, "'" + text + "' is not address:port");
  }
  return at;
}

std::string JoinHostPort(const HostPort& at) {
  return ::tarn::JoinHostPort(at.host, static_cast<uint32_t>(at.port));
}

Result<void> NfsMount(const std::string& server, const std::string& export_path,
                      const std::string& target, const std::vector<std::string>& options) {
  TRY(HostPort at, SplitHostPort(server));
  TRY(MountOptions parsed, ParseMountOptions(options, ""));
  TRY(Addresses addresses, Resolve(at));
  std::string data = NfsMountData(parsed, addresses.server, at.port, addresses.client);
  bool brackets = at.host.find(':') != std::string::npos;
  std::string source = (brackets ? "[" + at.host + "]" : at.host) + ":" + export_path;
  if (mount(source.c_str(), target.c_str(), "nfs4", parsed.flags, data.c_str()) != 0) {
    return MountFailed(source, target, errno);
  }
  return Ok();
}

}  // namespace tarn::csi
