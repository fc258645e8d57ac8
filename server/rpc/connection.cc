#include "server/rpc/connection.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace tarn::rpc {
namespace {

constexpr size_t kPiecesPerSend = 64;

Monotonic::rep Ticks() {
  return Monotonic::now().time_since_epoch().count();
}

}  // namespace

Connection::Connection(const Home& home, int fd, Peer peer, uint64_t listener_id)
    : home_(home), fd_(fd), peer_(std::move(peer)), listener_id_(listener_id) {}

Connection::~Connection() {
  reader_.Drop(home_.pool);
  close(fd_);
  home_.program.ConnectionClosed(peer_.connection);
}

bool Connection::Watch() {
  ahead_since_.store(0, std::memory_order_release);
  epoll_event event{.events = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT, .data = {.ptr = this}};
  return epoll_ctl(home_.read_set, EPOLL_CTL_ADD, fd_, &event) == 0;
}

void Connection::Arm() {
  uint32_t events = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT;
  // A record that is here already raises no event of its own; a writable socket does at once. One
  // that is not writable has a peer that does not take its replies, and gets no more of them.
  bool ahead = reader_.HasRecord();
  if (ahead) events |= EPOLLOUT;
  ahead_since_.store(ahead ? Ticks() : 0, std::memory_order_release);
  epoll_event event{.events = events, .data = {.ptr = this}};
  epoll_ctl(home_.read_set, EPOLL_CTL_MOD, fd_, &event);
}

void Connection::TakeToken() {
  if (ahead_since_.load(std::memory_order_acquire) != 0) ahead_since_.store(0);
}

void Connection::Rearm() {
  if (pending_bytes_.load() <= home_.pending_bytes_max) return Arm();
  std::lock_guard lock(mutex_);
  paused_.store(true);
  // Whoever lowers the count reads paused_ afterwards, so one of the two sees the other.
  if (pending_bytes_.load() > home_.pending_bytes_max && !broken_) return;
  paused_.store(false);
  Arm();
}

void Connection::EndReading() {
  epoll_ctl(home_.read_set, EPOLL_CTL_DEL, fd_, nullptr);
  reader_.Drop(home_.pool);
  record_since_.store(0);
  EndChannel();
}

std::shared_ptr<CallChannel> Connection::Channel() {
  std::lock_guard lock(mutex_);
  if (!channel_) {
    channel_ = std::make_shared<CallChannel>(*this);
    // Nobody else knows it yet, so its lock is free although it comes before ours.
    if (channel_ended_) channel_->Detach();
  }
  return channel_;
}

bool Connection::TakeReply(xdr::Opaque record) {
  std::shared_ptr<CallChannel> channel;
  {
    std::lock_guard lock(mutex_);
    channel = channel_;
  }
  return channel != nullptr && channel->TakeReply(record);
}

void Connection::ExpireCalls(Monotonic::time_point now) {
  std::shared_ptr<CallChannel> channel;
  {
    std::lock_guard lock(mutex_);
    channel = channel_;
  }
  if (channel) channel->Expire(now);
}

void Connection::EndChannel() {
  std::shared_ptr<CallChannel> channel;
  {
    std::lock_guard lock(mutex_);
    channel_ended_ = true;
    channel = channel_;
  }
  if (channel) channel->Detach();
}

void Connection::RemovePending(size_t bytes) {
  size_t left = pending_bytes_.fetch_sub(bytes) - bytes;
  if (!paused_.load() || left > home_.pending_bytes_max) return;
  std::lock_guard lock(mutex_);
  if (paused_.exchange(false)) Arm();
}

bool Connection::SendPieces(std::vector<iovec>& pieces, size_t& at) {
  while (at < pieces.size()) {
    msghdr message{};
    message.msg_iov = pieces.data() + at;
    message.msg_iovlen = std::min(pieces.size() - at, kPiecesPerSend);
    int flags = MSG_NOSIGNAL | MSG_DONTWAIT;
    if (at + message.msg_iovlen < pieces.size()) flags |= MSG_MORE;
    ssize_t sent = sendmsg(fd_, &message, flags);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) Break();
      return false;
    }
    auto left = static_cast<size_t>(sent);
    while (at < pieces.size() && left >= pieces[at].iov_len) left -= pieces[at++].iov_len;
    if (left > 0) {
      pieces[at].iov_base = static_cast<std::byte*>(pieces[at].iov_base) + left;
      pieces[at].iov_len -= left;
    }
  }
  return true;
}

bool Connection::Send(Reply& reply, std::vector<iovec>& pieces) {
  std::lock_guard lock(mutex_);
  pieces.clear();
  if (!reply.held.empty()) pieces.push_back({reply.held.data(), reply.held.size()});
  reply.bytes.Gather(pieces);
  size_t at = 0;
  bool first = queue_ == nullptr;
  if (broken_ || (first && SendPieces(pieces, at)) || broken_) {
    reply.held.clear();
    return false;
  }
  size_t bytes = reply.held.size() + reply.bytes.size() + reply.request.capacity;
  if (first) {
    queue_ = std::make_unique<std::deque<Queued>>();
    queued_since_.store(Ticks());
  }
  // Moving the vector and the encoder keeps their memory where it is, so the pieces stay good.
  queue_->push_back(
      {std::move(reply), {pieces.begin() + static_cast<ptrdiff_t>(at), pieces.end()}, bytes});
  reply = {};
  pending_bytes_.fetch_add(bytes);
  if (first) {
    home_.flush_set.Add(shared_from_this());
  }
  return true;
}

void Connection::Flush() {
  std::unique_lock lock(mutex_);
  size_t done = 0;
  while (queue_ && !queue_->empty() && !broken_) {
    Queued& next = queue_->front();
    size_t at = 0;
    size_t left_before = next.pieces.front().iov_len;
    bool all = SendPieces(next.pieces, at);
    if (broken_) break;
    if (at > 0 || next.pieces.front().iov_len != left_before) queued_since_.store(Ticks());
    if (!all) {
      next.pieces.erase(next.pieces.begin(), next.pieces.begin() + static_cast<ptrdiff_t>(at));
      break;
    }
    done += next.bytes;
    home_.pool.Give(std::move(next.reply.request));
    queue_->pop_front();
  }
  if (queue_ && queue_->empty()) {
    home_.flush_set.Remove(*this);
    queue_.reset();
    queued_since_.store(0);
  }
  lock.unlock();
  if (done > 0) RemovePending(done);
}

// With mutex_ held. Queued replies are for nobody any more.
void Connection::Break() {
  broken_ = true;
  if (queue_) {
    for (Queued& queued : *queue_) {
      pending_bytes_.fetch_sub(queued.bytes);
      home_.pool.Give(std::move(queued.reply.request));
    }
    queue_->clear();
  }
  shutdown(fd_, SHUT_RDWR);
  if (paused_.exchange(false)) Arm();
}

void Connection::Kick() {
  std::lock_guard lock(mutex_);
  Break();
}

Monotonic::time_point Connection::StalledSince() const {
  Monotonic::rep oldest = kNone.time_since_epoch().count();
  for (Monotonic::rep since : {record_since_.load(), queued_since_.load()}) {
    if (since != 0) oldest = std::min(oldest, since);
  }
  Monotonic::rep ahead = ahead_since_.load();
  if (ahead != 0 && ahead < oldest) {
    pollfd writable{.fd = fd_, .events = POLLOUT, .revents = 0};
    // Writable: it is this server that is slow, not the peer.
    if (poll(&writable, 1, 0) == 0) oldest = ahead;
  }
  return Monotonic::time_point(Monotonic::duration(oldest));
}

void Connection::NoteReading(bool in_record) {
  record_since_.store(in_record ? Ticks() : 0);
}

}  // namespace tarn::rpc
