// What is not a workload of operations: holding connections, coming back after a restart, and the
// yardstick of a plain TCP copy. Each prints lines of JSON.
#pragma once

#include <cstdint>
#include <string>

#include "tests/nfs/client/client.h"

namespace tarn::bench {

// Mounts `count` clients, each with a session, a connection and a GETATTR done, prints "ready", and
// keeps them silent until the standard input ends. The exit code.
int HoldIdle(const nfs_client::ClientOptions& options, uint32_t count, const std::string& path);

// Mounts `count` clients with an open file each, prints "ready", and waits for a line. Meanwhile
// the server was killed and started again: measures from that line on when the first client gets
// its answer, when all have reclaimed, and when the grace period is over. The exit code.
int ComeBack(const nfs_client::ClientOptions& options, uint32_t count, const std::string& path);

// Copies `file` from one process to another over TCP on loopback, `bytes` in all, in pieces of 1
// MiB: what no server can beat. The exit code.
int CopyOverTcp(const std::string& file, uint64_t bytes);

}  // namespace tarn::bench
