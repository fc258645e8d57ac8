// Endpoints of gRPC as people and other programs write them, made into the one spelling gRPC takes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "common/result.h"

namespace tarn::rpcs {

inline constexpr size_t kSocketPathBytesMax = 107;  // sockaddr_un::sun_path without its NUL

// "unix:///a/b", "unix://a/b", "unix:/a/b" and "/a/b" become "unix:/a/b"; "host:port" and
// "[v6]:port" stay. kInvalid: neither, a relative or too long socket path, a port above 65535.
Result<std::string> NormaliseEndpoint(std::string_view endpoint);

// Of a normalised endpoint: the socket's path, or "" when it is host:port.
std::string_view SocketPath(std::string_view endpoint);

}  // namespace tarn::rpcs
