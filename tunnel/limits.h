// What tarn-tunnel holds at most, and how long it waits.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace tarn::tunnel {

inline constexpr size_t kMountsMax = 4096;
inline constexpr size_t kConnectionsMax = 16384;       // of NFS clients, all mounts together
inline constexpr size_t kConnectionsPerMountMax = 64;  // nconnect is 16 at most
inline constexpr size_t kServersMax = 8;               // of one mount
inline constexpr unsigned kLoopsMax = 4;               // threads that carry bytes

inline constexpr size_t kMountIdBytesMax = 128;
inline constexpr size_t kHostBytesMax = 253;
inline constexpr size_t kPemBytesMax = 64 * 1024;  // each of the three

// The original mount helper's range, then the same on the next loopback address and so on.
inline constexpr const char* kFirstLoopback = "127.0.0.1";
inline constexpr uint16_t kFirstPort = 20049;
inline constexpr uint16_t kLastPort = 21049;
inline constexpr unsigned kLoopbackAddresses = 16;

// What is read at once from a socket. Also what a connection keeps when the other side takes
// nothing.
inline constexpr size_t kPieceBytes = 128 * 1024;
// What connections keep together in full pieces; beyond it they read kSmallPieceBytes at once.
inline constexpr size_t kKeptBytesMax = 64u << 20;
inline constexpr size_t kSmallPieceBytes = 4096;

// Waits. Tests have shorter ones.
struct Times {
  using Duration = std::chrono::milliseconds;
  Duration connect{3000};    // to one address
  Duration handshake{5000};  // with one server
  // Between rounds over all servers, doubled up to the second.
  Duration retry_min{100};
  Duration retry_max{1000};
  // How long a client's connection is kept while no server answers. Then it is closed, and the
  // client comes again by itself.
  Duration unanswered{20000};
  // How long a client's new calls wait for those that run, so that the connection below may be
  // replaced; and when that is tried again.
  Duration quiet{2000};
  Duration move_retry{15000};
  // The same when another process takes over. What is busy then is closed.
  Duration hand_over{5000};
  // To say goodbye: what a client that left had sent goes to the server.
  Duration last_bytes{5000};
};

}  // namespace tarn::tunnel
