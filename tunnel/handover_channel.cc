#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <vector>

#include "tunnel/handover.h"

namespace tarn::tunnel {
namespace {

// A piece that is held, and what is around it.
constexpr size_t kPacketBytesMax = kPieceBytes + 4096;

void SetTimeouts(int fd) {
  timeval wait{.tv_sec = kHandOverStepMax.count(), .tv_usec = 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
  int bytes = 4 * kPacketBytesMax;
  setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

Error Gone(const std::string& what) {
  return Error(Code::kUnavailable, "hand-over: the other process " + what);
}

union Control {
  char bytes[CMSG_SPACE(sizeof(int))];
  cmsghdr align;
};

Fd DescriptorOf(msghdr& message) {
  cmsghdr* control = CMSG_FIRSTHDR(&message);
  if (control == nullptr || control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS) {
    return Fd();
  }
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(control), sizeof fd);
  return Fd(fd);
}

}  // namespace

HandOverChannel::HandOverChannel(Fd fd) : fd_(std::move(fd)) {
  SetTimeouts(fd_.get());
}

Result<sockaddr_un> HandOverAddress(const std::string& path) {
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  if (path.size() >= sizeof at.sun_path) {
    return Error(Code::kInvalid, "--state-dir: " + path + " is too long for a socket");
  }
  path.copy(at.sun_path, path.size());
  return at;
}

Result<HandOverChannel> HandOverChannel::Connect(const std::string& path) {
  TRY(sockaddr_un to, HandOverAddress(path));
  HandOverChannel channel(Fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)));
  if (connect(channel.fd(), reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) {
    return Error(Code::kNoEntry, path + ": " + std::strerror(errno));
  }
  return channel;
}

Result<void> HandOverChannel::Send(const handover::Packet& packet, int fd) {
  std::string bytes = packet.SerializeAsString();
  iovec piece{bytes.data(), bytes.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  Control control{};
  if (fd >= 0) {
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    cmsghdr* head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(head), &fd, sizeof fd);
  }
  ssize_t sent = 0;
  do {
    sent = sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent == static_cast<ssize_t>(bytes.size())) return Ok();
  return Gone(std::string("does not take a packet: ") + std::strerror(errno));
}

Result<HandOverChannel::Received> HandOverChannel::Receive() {
  buffer_.resize(kPacketBytesMax);
  iovec piece{buffer_.data(), buffer_.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  Control control{};
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof control.bytes;
  ssize_t got = 0;
  do {
    got = recvmsg(fd_.get(), &message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
    return Error(Code::kDeadlineExceeded, "hand-over: the other process says nothing");
  }
  if (got <= 0) return Gone("has ended");
  Received received;
  received.fd = DescriptorOf(message);
  bool cut = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
  if (cut || !received.packet.ParseFromArray(buffer_.data(), static_cast<int>(got))) {
    return Error(Code::kProtocol, "hand-over: no packet of this protocol");
  }
  if (received.packet.has_refused()) {
    return Error(Code::kWrongState, "hand-over: " + received.packet.refused().why());
  }
  return received;
}

}  // namespace tarn::tunnel
