#include "server/rpc/connection.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace tarn::rpc {
namespace {

Monotonic::rep Ticks() {
  return Monotonic::now().time_since_epoch().count();
}

Connection::Answer AnswerOf(Ruling ruling) {
  switch (ruling) {
    case Ruling::kAdmit:
      return Connection::Answer::kAdmitted;
    case Ruling::kPutOff:
      return Connection::Answer::kPutOff;
    default:
      return Connection::Answer::kRefused;
  }
}

}  // namespace

Connection::Connection(const Home& home, int fd, Peer peer, uint64_t listener_id)
    : home_(home), stream_(fd), peer_(std::move(peer)), listener_id_(listener_id) {}

Connection::~Connection() {
  reader_.Drop(home_.pool);
  stream_.SayGoodbye();
  close(fd());
  home_.program.ConnectionClosed(peer_.connection);
}

bool Connection::Watch() {
  ahead_since_.store(0, std::memory_order_release);
  epoll_event event{.events = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT, .data = {.ptr = this}};
  return epoll_ctl(home_.read_set, EPOLL_CTL_ADD, fd(), &event) == 0;
}

void Connection::Arm() {
  uint32_t events = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT;
  // A record that is here already raises no event of its own; a writable socket does at once. One
  // that is not writable has a peer that does not take its replies, and gets no more of them.
  bool ahead = HasMore();
  if (ahead) events |= EPOLLOUT;
  ahead_since_.store(ahead ? Ticks() : 0, std::memory_order_release);
  epoll_event event{.events = events, .data = {.ptr = this}};
  epoll_ctl(home_.read_set, EPOLL_CTL_MOD, fd(), &event);
}

void Connection::TakeToken() {
  if (ahead_since_.load(std::memory_order_acquire) != 0) ahead_since_.store(0);
}

void Connection::Rearm() {
  if (pending_bytes_.load() <= home_.pending_bytes_max) return Arm();
  std::lock_guard lock(mutex_);
  NoteReading(false);  // what is missing of a record is not read now, and not owed
  paused_.store(true);
  // Whoever lowers the count reads paused_ afterwards, so one of the two sees the other.
  if (pending_bytes_.load() > home_.pending_bytes_max && !broken_) return;
  paused_.store(false);
  Resume();
}

void Connection::Resume() {
  NoteReading(InRecord());
  Arm();
}

void Connection::EndReading() {
  epoll_ctl(home_.read_set, EPOLL_CTL_DEL, fd(), nullptr);
  reader_.Drop(home_.pool);
  NoteReading(false);
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
  if (paused_.exchange(false)) Resume();
}

bool Connection::SendPieces(std::vector<iovec>& pieces, size_t& at) {
  Stream::Sent sent = stream_.Send(pieces, at);
  if (sent == Stream::Sent::kBroken) Break();
  return sent == Stream::Sent::kAll;
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
    size_t unsent_before = stream_.unsent();
    size_t left_before = next.pieces.empty() ? 0 : next.pieces.front().iov_len;
    bool all = SendPieces(next.pieces, at);
    if (broken_) break;
    bool moved = all || at > 0 || next.pieces.front().iov_len != left_before ||
                 stream_.unsent() != unsent_before;
    if (moved) queued_since_.store(Ticks());
    if (!all) {
      next.pieces.erase(next.pieces.begin(), next.pieces.begin() + static_cast<ptrdiff_t>(at));
      break;
    }
    done += next.bytes;
    home_.pool.Give(std::move(next.reply.request));
    queue_->pop_front();
  }
  std::vector<iovec> none;
  size_t at = 0;
  if (queue_ && queue_->empty() && (broken_ || SendPieces(none, at) || broken_)) {
    home_.flush_set.Remove(*this);
    queue_.reset();
    queued_since_.store(0);
  }
  lock.unlock();
  if (done > 0) RemovePending(done);
}

void Connection::FlushLater() {
  std::lock_guard lock(mutex_);
  if (broken_ || queue_ || stream_.unsent() == 0) return;
  queue_ = std::make_unique<std::deque<Queued>>();
  queued_since_.store(Ticks());
  home_.flush_set.Add(shared_from_this());
}

void Connection::StartTls(std::unique_ptr<tls::TlsStream> tls, bool rpc_with_tls) {
  std::lock_guard lock(mutex_);
  stream_.StartTls(std::move(tls));
  rpc_with_tls_ = rpc_with_tls;
  phase_ = Phase::kHandshake;
}

void Connection::Secure(std::shared_ptr<const Security> security) {
  peer_.security = std::move(security);
  phase_ = Phase::kOpen;
}

void Connection::SetAdmitted(std::shared_ptr<const Admission> admission) {
  peer_.admission = std::move(admission);
  admitted_.store(true);
}

void Connection::BeginQuestion(uint64_t when) {
  std::lock_guard lock(mutex_);
  question_ = std::make_unique<Question>();
  question_->when = when;
}

bool Connection::asked() {
  std::lock_guard lock(mutex_);
  return question_ != nullptr;
}

Connection::Answer Connection::TakeAnswer(Record& record,
                                          std::shared_ptr<const Admission>& admission,
                                          std::string& why, uint64_t& when) {
  std::lock_guard lock(mutex_);
  if (!question_) return Answer::kNone;
  if (question_->answer == Answer::kNone) {
    if (broken_) {
      why = "the connection ended first";
    } else if (reader_.PutBack(std::move(record), home_.pool)) {
      question_->parked = true;
      asked_since_.store(Ticks());
      return Answer::kLater;
    } else {
      why = "no memory is left for records in flight";
    }
    question_.reset();
    return Answer::kRefused;
  }
  Answer answer = question_->answer;
  when = question_->when;
  admission = std::move(question_->admission);
  why = std::move(question_->why);
  question_.reset();
  return answer;
}

void Connection::TakeVerdict(Ruling ruling, std::shared_ptr<const Admission> admission,
                             std::string why) {
  std::lock_guard lock(mutex_);
  if (!question_ || question_->answer != Answer::kNone) return;  // too late
  question_->answer = AnswerOf(ruling);
  question_->admission = std::move(admission);
  question_->why = std::move(why);
  ReleaseParked();
}

// With mutex_ held.
void Connection::ReleaseParked() {
  if (!question_ || !question_->parked) return;
  question_->parked = false;
  asked_since_.store(0);
  Arm();
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
  shutdown(fd(), SHUT_RDWR);
  if (paused_.exchange(false)) Resume();
  if (question_ && question_->answer == Answer::kNone) {
    question_->answer = Answer::kRefused;
    question_->why = "the connection ended before there was a verdict";
  }
  ReleaseParked();
}

void Connection::Kick() {
  std::lock_guard lock(mutex_);
  if (!broken_) stream_.SayGoodbye();
  Break();
}

Monotonic::time_point Connection::StalledSince() const {
  Monotonic::rep oldest = kNone.time_since_epoch().count();
  for (Monotonic::rep since : {queued_since_.load(), asked_since_.load()}) {
    if (since != 0) oldest = std::min(oldest, since);
  }
  // Writable, and readable: it is this server that is slow, not the peer.
  Monotonic::rep ahead = ahead_since_.load();
  if (ahead != 0 && ahead < oldest && !PollsNow(POLLOUT)) oldest = ahead;
  Monotonic::rep record = record_since_.load();
  if (record != 0 && record < oldest && !PollsNow(POLLIN)) oldest = record;
  return Monotonic::time_point(Monotonic::duration(oldest));
}

bool Connection::PollsNow(short events) const {
  pollfd question{.fd = fd(), .events = events, .revents = 0};
  return poll(&question, 1, 0) != 0;
}

bool Connection::Trickles(Monotonic::time_point since) const {
  Monotonic::rep begun = record_begun_.load(std::memory_order_relaxed);
  return begun != 0 && begun < since.time_since_epoch().count() && !PollsNow(POLLIN);
}

void Connection::NoteReading(bool in_record) {
  const Monotonic::rep now = in_record ? Ticks() : 0;
  record_since_.store(now);
  // Only the token's holder writes it.
  if (now == 0 || record_begun_.load(std::memory_order_relaxed) == 0) {
    record_begun_.store(now, std::memory_order_relaxed);
  }
}

void Connection::NoteRecord() {
  record_begun_.store(0, std::memory_order_relaxed);
}

}  // namespace tarn::rpc
