// What a connection reads from and writes to: a socket, in the clear or through TLS.
//
// Threads: one receives and one sends, at a time. StartTls is called by the one that receives,
// while nobody sends; the connection's mutex sees to that.
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <memory>
#include <vector>

#include "common/tls/tls_stream.h"

namespace tarn::rpc {

class Stream {
 public:
  // The non-blocking socket stays the caller's.
  explicit Stream(int fd) : fd_(fd) {}

  int fd() const { return fd_; }
  void StartTls(std::unique_ptr<tls::TlsStream> tls) { tls_ = std::move(tls); }
  tls::TlsStream* tls() const { return tls_.get(); }

  static constexpr ssize_t kNothing = tls::TlsStream::kNothing;
  static constexpr ssize_t kBroken = tls::TlsStream::kBroken;
  // Bytes received; 0 at the stream's end; kNothing: none are there now; kBroken: it failed.
  ssize_t Receive(std::byte* into, size_t bytes) {
    return tls_ ? tls_->Receive(into, bytes) : ReceivePlain(into, bytes);
  }
  // Bytes are here that the socket will raise no event for.
  bool HasBuffered() const { return tls_ && tls_->HasBuffered(); }
  // The peer owes the rest of what it began to send.
  bool InRecord() const { return tls_ && tls_->InRecord(); }

  using Sent = tls::TlsStream::Sent;
  // Sends pieces[at...] and moves `at` (and the piece it stands at) on; see TlsStream::Send.
  Sent Send(std::vector<iovec>& pieces, size_t& at) {
    return tls_ ? tls_->Send(pieces, at) : SendPlain(pieces, at);
  }
  // What was encrypted already and the socket did not take; `Send` with no pieces does it.
  size_t unsent() { return tls_ ? tls_->unsent() : 0; }
  // For the best manners before the socket is closed.
  void SayGoodbye() {
    if (tls_) tls_->CloseNotify();
  }

 private:
  ssize_t ReceivePlain(std::byte* into, size_t bytes) const;
  Sent SendPlain(std::vector<iovec>& pieces, size_t& at) const;

  const int fd_;
  std::unique_ptr<tls::TlsStream> tls_;
};

}  // namespace tarn::rpc
