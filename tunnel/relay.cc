#include "tunnel/relay.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <span>

namespace tarn::tunnel {

Relay::Relay(Loop& loop, Fd local, Bytes held, Mount& mount, std::atomic<size_t>& kept_bytes)
    : loop_(loop), local_(std::move(local)), mount_(mount), kept_bytes_(kept_bytes) {
  Keep(up_, held.data(), held.size());
}

Relay::~Relay() {
  Drop(up_);
  Drop(down_);
  CountUnsent(0);
}

void Relay::NoteLocal(uint32_t events) {
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) local_hup_ = local_readable_ = true;
  if ((events & EPOLLIN) != 0) local_readable_ = true;
  if ((events & EPOLLOUT) != 0) local_writable_ = true;
}

void Relay::NoteLink(uint32_t events) {
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) link_hup_ = link_readable_ = true;
  if ((events & EPOLLIN) != 0) link_readable_ = true;
  if ((events & EPOLLOUT) != 0) link_writable_ = true;
}

void Relay::SetLink(std::unique_ptr<Link> link) {
  CountUnsent(0);
  link_ = std::move(link);
  link_readable_ = link_writable_ = true;
  link_hup_ = link_ended_ = answered_ = false;
  link_blocked_ = link_ != nullptr;  // the handshake may have left something
  why_ended_.clear();
}

void Relay::Hold(bool hold) {
  hold_ = hold;
}

Relay::Turn Relay::Run() {
  Turn turn;
  if (link_) {
    PumpDown(turn);
    PumpUp(turn);
    if (link_blocked_ || unsent_ > 0) CountUnsent(link_->stream.unsent());
  }
  bool nothing_to_deliver = !link_ || hold_ || (up_.empty() && !link_blocked_);
  if (local_broken_ || (local_eof_ && nothing_to_deliver) || (local_hup_ && !link_)) {
    turn.end = End::kLocal;
  } else if (link_ended_ && down_.empty()) {
    turn.end = End::kLink;
  }
  return turn;
}

bool Relay::BetweenCalls() const {
  bool delivered = up_at_ == up_passed_ && down_.empty();
  bool answered =
      watch_up_.calls() <= watch_down_.replies() && watch_down_.calls() <= watch_up_.replies();
  bool whole = watch_up_.between_records() && watch_down_.between_records();
  // Ciphertext of a link that ended may be left: of calls, and then they are not answered.
  bool link_idle =
      !link_ || link_ended_ || (!link_blocked_ && !link_readable_ && !link_->stream.InRecord());
  return delivered && answered && whole && link_idle;
}

Bytes Relay::TakeHeld() {
  Bytes held(up_.begin() + static_cast<ptrdiff_t>(up_passed_), up_.end());
  Drop(up_);
  return held;
}

// --- what is kept ---

void Relay::Keep(Bytes& where, const std::byte* from, size_t bytes) {
  kept_bytes_.fetch_add(bytes, std::memory_order_relaxed);
  where.insert(where.end(), from, from + bytes);
}

void Relay::Drop(Bytes& where) {
  kept_bytes_.fetch_sub(where.size(), std::memory_order_relaxed);
  Bytes().swap(where);
  if (&where == &up_) up_at_ = up_passed_ = 0;
  if (&where == &down_) down_at_ = 0;
}

void Relay::CountUnsent(size_t unsent) {
  kept_bytes_.fetch_add(unsent - unsent_, std::memory_order_relaxed);  // modulo 2^64: also down
  unsent_ = unsent;
}

size_t Relay::PieceBytes() const {
  bool much = kept_bytes_.load(std::memory_order_relaxed) > kKeptBytesMax;
  return much ? kSmallPieceBytes : kPieceBytes;
}

// --- from the server to the client ---

// How much the client's socket took.
size_t Relay::SendLocal(const std::byte* from, size_t bytes) {
  size_t at = 0;
  while (at < bytes && !local_broken_) {
    ssize_t sent = send(local_.get(), from + at, bytes - at, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      at += static_cast<size_t>(sent);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      local_writable_ = false;
      break;
    } else if (errno != EINTR) {
      local_broken_ = true;
    }
  }
  return at;
}

bool Relay::FlushDown() {
  if (down_.empty()) return true;
  if (!local_writable_) return false;
  down_at_ += SendLocal(down_.data() + down_at_, down_.size() - down_at_);
  if (down_at_ < down_.size()) return false;
  Drop(down_);
  return true;
}

void Relay::PumpDown(Turn& turn) {
  size_t budget = kTurnBytes;
  while (FlushDown() && link_readable_ && !link_ended_ && !local_broken_) {
    if (budget == 0) {
      turn.again = true;
      return;
    }
    std::byte* scratch = loop_.scratch();
    size_t want = std::min(PieceBytes(), budget);
    ssize_t got = link_->stream.Receive(scratch, want);
    if (link_->stream.WantsToSend()) link_blocked_ = true;
    if (got == tls::TlsStream::kNothing) {
      link_readable_ = false;
      return;
    }
    if (got <= 0) {
      why_ended_ = got == 0 ? "it closed the connection" : tls::TakeOpenSslError();
      link_ended_ = true;
      return;
    }
    auto bytes = static_cast<size_t>(got);
    answered_ = true;
    budget -= bytes;
    mount_.bytes_received.fetch_add(bytes, std::memory_order_relaxed);
    watch_down_.Pass({scratch, bytes}, false);
    size_t sent = SendLocal(scratch, bytes);
    if (sent < bytes) Keep(down_, scratch + sent, bytes - sent);
    // Less than was asked for: there was no more, and there is an event when there is.
    if (bytes < want && !link_->stream.HasBuffered() && !link_hup_) link_readable_ = false;
  }
}

// --- from the client to the server ---

// How much the link took. When that is not all, it wants its socket to be writable first.
size_t Relay::SendLink(std::byte* from, size_t bytes) {
  static thread_local std::vector<iovec> pieces;
  pieces.clear();
  if (bytes > 0) pieces.push_back({from, bytes});
  size_t at = 0;
  auto sent = link_->stream.Send(pieces, at);
  link_blocked_ = sent == tls::TlsStream::Sent::kBlocked;
  if (link_blocked_) link_writable_ = false;
  if (sent == tls::TlsStream::Sent::kBroken) {
    why_ended_ = "it closed the connection";
    link_ended_ = true;
  }
  size_t left = at < pieces.size() ? pieces[at].iov_len : 0;
  mount_.bytes_sent.fetch_add(bytes - left, std::memory_order_relaxed);
  return bytes - left;
}

// True: the link takes more.
bool Relay::FlushUp() {
  if (link_ended_) return false;
  if (up_at_ < up_passed_ || link_blocked_) {
    if (!link_writable_) return false;
    up_at_ += SendLink(up_.data() + up_at_, up_passed_ - up_at_);
  }
  if (!up_.empty() && up_at_ == up_.size()) Drop(up_);
  return !link_blocked_ && !link_ended_;
}

void Relay::PumpUp(Turn& turn) {
  size_t budget = kTurnBytes;
  while (FlushUp()) {
    if (up_passed_ < up_.size()) {
      std::span<const std::byte> held(up_.data() + up_passed_, up_.size() - up_passed_);
      size_t pass = watch_up_.Pass(held, hold_);
      up_passed_ += pass;
      if (pass > 0) continue;
      if (held.size() >= RecordWatch::kHeadBytes) return;
    }
    if (!local_readable_ || local_eof_) return;
    if (budget == 0) {
      turn.again = true;
      return;
    }
    if (!ReadLocal(budget)) return;
  }
}

// False: there is nothing now.
bool Relay::ReadLocal(size_t& budget) {
  std::byte* scratch = loop_.scratch();
  // Of a call that is held only so much as tells that it is one.
  size_t want = up_.empty() ? std::min(PieceBytes(), budget)
                            : RecordWatch::kHeadBytes - (up_.size() - up_passed_);
  ssize_t got = recv(local_.get(), scratch, want, MSG_DONTWAIT);
  if (got == 0) {
    local_eof_ = true;
    return false;
  }
  if (got < 0) {
    if (errno == EINTR) return true;
    local_readable_ = false;
    if (errno != EAGAIN && errno != EWOULDBLOCK) local_broken_ = true;
    return false;
  }
  auto bytes = static_cast<size_t>(got);
  budget -= std::min(budget, bytes);
  if (bytes < want && !local_hup_) local_readable_ = false;
  if (!up_.empty()) {
    Keep(up_, scratch, bytes);
    return true;
  }
  size_t pass = watch_up_.Pass({scratch, bytes}, hold_);
  size_t sent = pass > 0 ? SendLink(scratch, pass) : 0;
  if (sent < bytes) {
    Keep(up_, scratch + sent, bytes - sent);
    up_passed_ = pass - sent;
  }
  return true;
}

}  // namespace tarn::tunnel
