#include "csi/mount/fuse/socket.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>

#include "csi/mount/fuse/connection.h"

namespace tarn::fuse {

namespace {

constexpr int kConnectMilliseconds = 3000;
constexpr int kReadSliceMilliseconds = 200;  // how long one recv may block
constexpr int kSilenceMilliseconds = 30000;  // unacknowledged for so long: the peer is gone

void Set(int fd, int level, int option, int value) {
  setsockopt(fd, level, option, &value, sizeof(value));
}

bool ConnectOne(int fd, const addrinfo& to) {
  if (connect(fd, to.ai_addr, to.ai_addrlen) == 0) return true;
  if (errno != EINPROGRESS) return false;
  pollfd wait{fd, POLLOUT, 0};
  if (poll(&wait, 1, kConnectMilliseconds) != 1) return errno = ETIMEDOUT, false;
  int error = 0;
  socklen_t size = sizeof(error);
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  errno = error;
  return error == 0;
}

void Configure(int fd) {
  Set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  Set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  Set(fd, IPPROTO_TCP, TCP_KEEPIDLE, 10);
  Set(fd, IPPROTO_TCP, TCP_KEEPINTVL, 5);
  Set(fd, IPPROTO_TCP, TCP_KEEPCNT, 4);
  Set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, kSilenceMilliseconds);
  timeval slice{0, kReadSliceMilliseconds * 1000};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &slice, sizeof(slice));
}

}  // namespace

std::shared_ptr<Socket> Socket::Open(const ServerAddress& server, std::string& why) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  int failed = getaddrinfo(server.host.c_str(), std::to_string(server.port).c_str(), &hints, &list);
  if (failed != 0) return why = gai_strerror(failed), nullptr;
  std::shared_ptr<Socket> made;
  for (addrinfo* to = list; to != nullptr && !made; to = to->ai_next) {
    int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) continue;
    if (!ConnectOne(fd, *to)) {
      why = std::strerror(errno);
      close(fd);
      continue;
    }
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    Configure(fd);
    made = std::make_shared<Socket>(fd);
  }
  freeaddrinfo(list);
  return made;
}

Socket::~Socket() {
  close(fd_);
}

void Socket::Shutdown() {
  shutdown(fd_, SHUT_RDWR);
}

bool Socket::Send(const std::vector<iovec>& pieces) {
  std::vector<iovec> left = pieces;
  size_t first = 0;
  while (first < left.size()) {
    msghdr message{};
    message.msg_iov = left.data() + first;
    message.msg_iovlen = left.size() - first;
    ssize_t sent = sendmsg(fd_, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return false;
    auto size = static_cast<size_t>(sent);
    while (first < left.size() && size >= left[first].iov_len) size -= left[first++].iov_len;
    if (size == 0) continue;
    left[first].iov_base = static_cast<char*>(left[first].iov_base) + size;
    left[first].iov_len -= size;
  }
  return true;
}

}  // namespace tarn::fuse
