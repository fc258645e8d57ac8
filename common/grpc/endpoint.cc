#include "common/grpc/endpoint.h"

#include <charconv>

namespace tarn::rpcs {
namespace {

constexpr std::string_view kUnix = "unix:";

Result<std::string> NormaliseSocket(std::string_view endpoint, std::string_view path) {
  // "unix://a/b" is written by Kubernetes' tools for "/a/b"; gRPC would take "a" for a host.
  while (path.starts_with("//")) path.remove_prefix(1);
  if (!path.starts_with('/') || path.size() < 2 || path.find('\0') != std::string_view::npos) {
    return Error(Code::kInvalid, "endpoint '" + std::string(endpoint) +
                                     "' has no absolute socket path: write unix:/dir/name.sock");
  }
  if (path.size() > kSocketPathBytesMax) {
    return Error(Code::kInvalid, "endpoint '" + std::string(endpoint) +
                                     "': a socket path has at most " +
                                     std::to_string(kSocketPathBytesMax) + " bytes, this one " +
                                     std::to_string(path.size()) + "; use a shorter directory");
  }
  return std::string(kUnix) + std::string(path);
}

}  // namespace

Result<std::string> NormaliseEndpoint(std::string_view endpoint) {
  if (endpoint.starts_with('/')) return NormaliseSocket(endpoint, endpoint);
  if (endpoint.starts_with("unix://") && !endpoint.starts_with("unix:///")) {
    return NormaliseSocket(endpoint, endpoint.substr(kUnix.size() + 1));
  }
  if (endpoint.starts_with(kUnix)) return NormaliseSocket(endpoint, endpoint.substr(kUnix.size()));
  size_t colon = endpoint.rfind(':');
  std::string_view host = colon == std::string_view::npos ? "" : endpoint.substr(0, colon);
  std::string_view digits = colon == std::string_view::npos ? "" : endpoint.substr(colon + 1);
  bool bare_v6 = host.find(':') != std::string_view::npos && !host.starts_with('[');
  unsigned port = 0;
  auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (host.empty() || bare_v6 || host.find_first_of("/ ") != std::string_view::npos ||
      digits.empty() || failed != std::errc() || end != digits.data() + digits.size() ||
      port > 65535) {
    return Error(Code::kInvalid, "endpoint '" + std::string(endpoint) +
                                     "' is neither host:port ([address]:port for IPv6) nor "
                                     "unix:/path");
  }
  return std::string(endpoint);
}

std::string_view SocketPath(std::string_view endpoint) {
  return endpoint.starts_with(kUnix) ? endpoint.substr(kUnix.size()) : std::string_view();
}

}  // namespace tarn::rpcs
