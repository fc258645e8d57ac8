#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>

#include "operator/kube/testing/fake_cluster.h"

namespace tarn::kube {
namespace {

bool SendAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t n = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

// One request with its body; false when the peer has gone.
bool ReadRequest(int fd, std::string& buffer, HttpRequest& out) {
  auto more = [&] {
    char piece[4096];
    ssize_t n = recv(fd, piece, sizeof piece, 0);
    if (n > 0) buffer.append(piece, static_cast<size_t>(n));
    return n > 0;
  };
  size_t end;
  while ((end = buffer.find("\r\n\r\n")) == std::string::npos) {
    if (!more()) return false;
  }
  std::string head = buffer.substr(0, end + 2);
  size_t length = 0;
  for (size_t at = head.find("\r\n"); at + 2 < head.size(); at = head.find("\r\n", at + 2)) {
    std::string line = head.substr(at + 2, head.find("\r\n", at + 2) - at - 2);
    // cpprestsdk writes no space after the colon.
    size_t colon = std::min(line.find(':'), line.size());
    std::string name = line.substr(0, colon);
    for (char& c : name) c = static_cast<char>(std::tolower(c));
    size_t value = std::min(line.find_first_not_of(' ', colon + 1), line.size());
    if (name == "content-length") length = std::strtoul(line.c_str() + value, nullptr, 10);
    if (name == "content-type") out.content_type = line.substr(value);
  }
  while (buffer.size() < end + 4 + length) {
    if (!more()) return false;
  }
  size_t space = head.find(' ');
  out.method = head.substr(0, space);
  out.target = head.substr(space + 1, head.find(' ', space + 1) - space - 1);
  out.body = buffer.substr(end + 4, length);
  buffer.erase(0, end + 4 + length);
  return true;
}

}  // namespace

FakeServer::FakeServer(FakeCluster& cluster, int port) : cluster_(cluster) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int on = 1;
  setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      listen(listener_, 16) != 0)
    return;
  getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::jthread([this](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) return;
      std::lock_guard lock(mu_);
      open_.insert(fd);
      connections_.emplace_back([this, fd](const std::stop_token& s) { Serve(fd, s); });
    }
  });
}

FakeServer::~FakeServer() {
  acceptor_.request_stop();
  shutdown(listener_, SHUT_RDWR);
  if (acceptor_.joinable()) acceptor_.join();
  close(listener_);
  {
    std::lock_guard lock(mu_);
    for (int fd : open_) shutdown(fd, SHUT_RDWR);
  }
  for (auto& c : connections_) c.request_stop();
  connections_.clear();
}

void FakeServer::Serve(int fd, const std::stop_token& stop) {
  std::string buffer;
  HttpRequest request;
  while (ReadRequest(fd, buffer, request)) {
    if (request.target.find("watch=true") != std::string::npos) {
      SendAll(fd,
              "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: "
              "chunked\r\n\r\n");
      auto ended = cluster_.Stream(
          request,
          [fd](std::string_view bytes) {
            char size[32];
            std::snprintf(size, sizeof size, "%zx\r\n", bytes.size());
            return SendAll(fd, size) && SendAll(fd, bytes) && SendAll(fd, "\r\n");
          },
          stop);
      if (!ended.ok()) break;  // a cut, not an end
      SendAll(fd, "0\r\n\r\n");
      continue;
    }
    auto response = cluster_.Do(request);
    if (!response.ok()) break;
    SendAll(fd, "HTTP/1.1 " + std::to_string(response->status) +
                    " X\r\nContent-Type: application/json\r\n" + "Content-Length: " +
                    std::to_string(response->body.size()) + "\r\n\r\n" + response->body);
  }
  std::lock_guard lock(mu_);
  open_.erase(fd);
  close(fd);
}

}  // namespace tarn::kube
