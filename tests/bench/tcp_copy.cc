#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <vector>

#include "tests/bench/special.h"

namespace tarn::bench {
namespace {

constexpr size_t kPieceBytes = 1 << 20;

// A listening socket on loopback, and its port.
int Listen(sockaddr_in& address) {
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* plain = reinterpret_cast<sockaddr*>(&address);
  bool ok = bind(listener, plain, size) == 0 && listen(listener, 1) == 0 &&
            getsockname(listener, plain, &size) == 0;
  return ok ? listener : -1;
}

// The sending process: reads the file again and again.
int SendAll(int listener, const char* file, uint64_t bytes) {
  int to = accept(listener, nullptr, nullptr);
  int from = open(file, O_RDONLY);
  std::vector<std::byte> piece(kPieceBytes);
  off_t at = 0;
  while (bytes > 0) {
    ssize_t got = pread(from, piece.data(), piece.size(), at);
    if (got < 0 || (got == 0 && at == 0)) return 1;
    at = got == 0 ? 0 : at + got;
    for (ssize_t done = 0; done < got;) {
      ssize_t sent = send(to, piece.data() + done, static_cast<size_t>(got - done), MSG_NOSIGNAL);
      if (sent <= 0) return 0;  // the receiver has enough
      done += sent;
    }
    bytes -= std::min<uint64_t>(bytes, static_cast<uint64_t>(got));
  }
  return 0;
}

}  // namespace

int CopyOverTcp(const std::string& file, uint64_t bytes) {
  sockaddr_in address;
  int listener = Listen(address);
  if (listener < 0) return 1;
  pid_t child = fork();
  if (child == 0) _exit(SendAll(listener, file.c_str(), bytes));
  int from = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(from, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) return 1;
  std::vector<std::byte> piece(kPieceBytes);
  auto begin = std::chrono::steady_clock::now();
  uint64_t received = 0;
  while (received < bytes) {
    ssize_t got = recv(from, piece.data(), piece.size(), 0);
    if (got <= 0) break;
    received += static_cast<uint64_t>(got);
  }
  std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  close(from);
  close(listener);
  int status = 0;
  waitpid(child, &status, 0);
  if (received < bytes || status != 0) {
    std::fprintf(stderr, "tarn-bench: cannot copy '%s'\n", file.c_str());
    return 1;
  }
  std::printf("{\"workload\": \"tcp\", \"mib_per_second\": %.1f}\n",
              static_cast<double>(received) / took.count() / (1 << 20));
  return 0;
}

}  // namespace tarn::bench
