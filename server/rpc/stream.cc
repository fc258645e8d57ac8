#include "server/rpc/stream.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace tarn::rpc {
namespace {

constexpr size_t kPiecesPerSend = 64;

}  // namespace

ssize_t Stream::ReceivePlain(std::byte* into, size_t bytes) const {
  while (true) {
    ssize_t got = recv(fd_, into, bytes, MSG_DONTWAIT);
    if (got >= 0) return got;
    if (errno == EINTR) continue;
    return errno == EAGAIN || errno == EWOULDBLOCK ? kNothing : kBroken;
  }
}

Stream::Sent Stream::SendPlain(std::vector<iovec>& pieces, size_t& at) const {
  while (at < pieces.size()) {
    msghdr message{};
    message.msg_iov = pieces.data() + at;
    message.msg_iovlen = std::min(pieces.size() - at, kPiecesPerSend);
    int flags = MSG_NOSIGNAL | MSG_DONTWAIT;
    if (at + message.msg_iovlen < pieces.size()) flags |= MSG_MORE;
    ssize_t sent = sendmsg(fd_, &message, flags);
    if (sent < 0) {
      if (errno == EINTR) continue;
      return errno == EAGAIN || errno == EWOULDBLOCK ? Sent::kBlocked : Sent::kBroken;
    }
    auto left = static_cast<size_t>(sent);
    while (at < pieces.size() && left >= pieces[at].iov_len) left -= pieces[at++].iov_len;
    if (left > 0) {
      pieces[at].iov_base = static_cast<std::byte*>(pieces[at].iov_base) + left;
      pieces[at].iov_len -= left;
    }
  }
  return Sent::kAll;
}

}  // namespace tarn::rpc
