#include "tunnel/connection.h"

#include <algorithm>

#include "common/log.h"
#include "common/log_ration.h"

namespace tarn::tunnel {
namespace {

LogRation& Ration() {
  static LogRation ration;
  return ration;
}

}  // namespace

Connection::Connection(Loop& loop, const Common& common, std::shared_ptr<Mount> mount, Fd local,
                       Bytes held, Owner& owner)
    : loop_(loop),
      common_(common),
      mount_(std::move(mount)),
      owner_(owner),
      relay_(loop, std::move(local), std::move(held), *mount_, common.kept_bytes),
      local_side_(*this, &Relay::NoteLocal),
      link_side_(*this, &Relay::NoteLink),
      next_side_(*this, nullptr),
      timer_(loop, [this] { OnTimer(); }),
      unanswered_since_(std::chrono::steady_clock::now()) {
  mount_->connections.fetch_add(1, std::memory_order_relaxed);
}

Connection::~Connection() {
  loop_.Forget(local_side_);
  loop_.Forget(link_side_);
  loop_.Forget(next_side_);
  if (relay_.local_fd() >= 0) loop_.Remove(relay_.local_fd());
}

void Connection::Start() {
  if (!loop_.Add(relay_.local_fd(), local_side_)) return End();
  Dial({});
}

void Connection::Side::OnEvents(uint32_t events) {
  if (note == nullptr || connection.ended_) return;
  (connection.relay_.*note)(events);
  connection.Run();
}

void Connection::Run() {
  Relay::Turn turn = relay_.Run();
  if (ended_) return;
  if (relay_.answered() && !answer_noted_) {
    answer_noted_ = true;
    useless_links_ = 0;
    mount_->NoteError("");
  }
  if (turn.end == Relay::End::kLocal) return End();
  if (turn.end == Relay::End::kLink) return OnLinkEnded();
  if (turn.again) loop_.Again(local_side_);
  if (relay_.local_left() && due_ != Due::kLastBytes) {
    due_ = Due::kLastBytes;
    timer_.After(common_.times.last_bytes);
  }
  if ((next_ || depart_) && relay_.Quiet()) OnQuiet();
}

// --- links ---

void Connection::Dial(Times::Duration wait) {
  if (!dialer_) {
    dialer_ = std::make_unique<Dialer>(loop_, common_.resolver, common_.times, *this);
  }
  dialer_->Start(mount_->settings(), wait);
  if (relay_.has_link()) return;
  due_ = Due::kUnanswered;
  auto waited = std::chrono::steady_clock::now() - unanswered_since_;
  timer_.After(std::max<Loop::Duration>(common_.times.unanswered - waited, Loop::Duration::zero()));
}

void Connection::StopDialing() {
  if (!dialer_) return;
  dialer_->Stop();
  loop_.Bury(std::move(dialer_));
}

void Connection::OnDialed(std::unique_ptr<Link> link) {
  StopDialing();
  if (link->settings != mount_->settings()) return Dial({});  // changed meanwhile
  if (relay_.has_link()) {
    loop_.Change(link->fd.get(), next_side_);
    next_ = std::move(link);
    relay_.Hold(true);
    due_ = Due::kQuiet;
    timer_.After(common_.times.quiet);
  } else {
    timer_.Cancel();
    UseLink(std::move(link));
  }
  Run();
}

void Connection::UseLink(std::unique_ptr<Link> link) {
  loop_.Forget(link_side_);
  loop_.Change(link->fd.get(), link_side_);
  answer_noted_ = false;
  linked_since_ = std::chrono::steady_clock::now();
  relay_.SetLink(std::move(link));
}

bool Connection::OnRoundFailed(const std::string& why) {
  Failed(why);
  if (!relay_.has_link()) return true;
  StopDialing();
  TryAgainLater();
  return false;
}

void Connection::Failed(const std::string& why) {
  if (mount_->NoteError(why) && Ration().Take()) {
    spdlog::warn("mount {}: no connection to a server: {}", mount_->id(), why);
  }
}

void Connection::OnLinkEnded() {
  auto now = std::chrono::steady_clock::now();
  // One of a client that had nothing to say is none of a server that ends it at once.
  bool useless = !relay_.answered() && now - linked_since_ < common_.times.unanswered;
  if (useless) Failed("a server ended the connection at once: " + relay_.why_ended());
  if (!relay_.BetweenCalls()) return End();
  relay_.SetLink(nullptr);
  if (next_) {
    OnQuiet();
    return;
  }
  if (depart_) return OnQuiet();
  if (!useless) unanswered_since_ = now;
  if (useless && now - unanswered_since_ > common_.times.unanswered) return End();
  auto wait = useless ? std::min(common_.times.retry_min * (1 << std::min(useless_links_, 8u)),
                                 common_.times.retry_max)
                      : Times::Duration::zero();
  if (useless) ++useless_links_;
  StopDialing();
  Dial(wait);
  Run();
}

// --- moving and leaving ---

void Connection::Move() {
  if (ended_ || depart_ || relay_.link_settings() == mount_->settings().get()) return;
  next_.reset();
  relay_.Hold(false);
  if (due_ != Due::kLastBytes) timer_.Cancel();
  Dial({});
  Run();
}

void Connection::TryAgainLater() {
  due_ = Due::kMove;
  timer_.After(common_.times.move_retry);
}

void Connection::HandOver(std::function<void(Departure)> depart) {
  if (ended_) return;
  StopDialing();
  next_.reset();
  depart_ = std::move(depart);
  relay_.Hold(true);
  due_ = Due::kHandOver;
  timer_.After(common_.times.hand_over);
  Run();
}

void Connection::Stay() {
  if (ended_ || !depart_) return;
  depart_ = nullptr;
  relay_.Hold(false);
  timer_.Cancel();
  due_ = Due::kUnanswered;  // Run sets the timer again for a client that has left
  unanswered_since_ = std::chrono::steady_clock::now();
  if (relay_.link_settings() != mount_->settings().get()) Dial({});
  Run();
}

void Connection::OnQuiet() {
  if (depart_) {
    loop_.Remove(relay_.local_fd());
    depart_({mount_, relay_.TakeLocal(), relay_.TakeHeld()});
    return End();
  }
  timer_.Cancel();
  unanswered_since_ = std::chrono::steady_clock::now();  // the one before was good
  UseLink(std::move(next_));
  relay_.Hold(false);
  Run();
}

void Connection::OnTimer() {
  switch (due_) {
    case Due::kMove:
      return Move();
    case Due::kQuiet:
      next_.reset();
      relay_.Hold(false);
      TryAgainLater();
      return Run();
    case Due::kUnanswered:
    case Due::kHandOver:
    case Due::kLastBytes:
      return End();
  }
}

void Connection::End() {
  if (ended_) return;
  ended_ = true;
  timer_.Cancel();
  StopDialing();
  mount_->connections.fetch_sub(1, std::memory_order_relaxed);
  owner_.OnEnded(*this);
}

}  // namespace tarn::tunnel
