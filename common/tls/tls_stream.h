// TLS over a non-blocking socket, for programs that are driven by readiness: nothing here waits.
//
// OpenSSL allows one thread at a time on a connection's object; a mutex of this class's own sees to
// it, held for at most kBatchBytes of work, so that one thread may receive while another sends.
// OpenSSL never meets the socket: what it reads and writes passes through memory. So a write is
// never half done for want of room in the socket, and many TLS records leave and come by one system
// call. That memory is the calling thread's; the stream itself keeps only what the socket did not
// take, and what came behind the bytes that were asked for. Idle, it keeps neither.
//
// Threads: one receives or does the handshake, and one sends, at a time.
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <mutex>
#include <string>
#include <vector>

#include "common/tls/openssl.h"

namespace tarn::tls {

class TlsStream {
 public:
  // What a peer may send until the handshake is done: a certificate of full size, and the rest.
  static constexpr size_t kHandshakeBytesMax = 64 * 1024;
  static constexpr size_t kRecordBytes = 16 * 1024;  // the most that TLS allows
  static constexpr size_t kBatchBytes = 8 * kRecordBytes;
  // What may wait for the socket: a batch that it did not take at all, and answers to the peer's
  // key updates. A peer that makes it more is broken off.
  static constexpr size_t kUnsentBytesMax = 2 * kBatchBytes;

  // `fd` stays the caller's and open for as long as this lives.
  TlsStream(Owned<SSL> ssl, int fd);
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  // --- the receiving thread ---
  enum class Step { kDone, kAgain, kFailed };
  enum class Failure { kNone, kClosed, kVersion, kCertificate, kTooLong, kProtocol };
  // As much of the handshake as there are bytes for. kFailed: `why` is for the log.
  Step Handshake(std::string& why);
  Failure failure() const { return failure_; }

  static constexpr ssize_t kNothing = -1;  // now; ask again when the socket is readable
  static constexpr ssize_t kBroken = -2;
  // Up to `bytes`, and not much more is taken from the socket: a peer that sends what decrypts to
  // nothing keeps nobody here. 0: the peer has said that it sends no more, or has closed.
  ssize_t Receive(std::byte* into, size_t bytes);
  // Bytes are here that the socket will raise no event for.
  bool HasBuffered() const { return has_buffered_; }
  // A part of a TLS record is here, and the rest is missing.
  bool InRecord() const { return in_record_; }
  // What was just received, or the handshake, had to be answered, and the socket did not take it:
  // the sending thread is to Send when it is writable.
  bool WantsToSend() const { return wants_to_send_; }

  // --- the sending thread ---
  enum class Sent { kAll, kBlocked, kBroken };
  // Encrypts and sends pieces[at...] and moves `at` (and the piece it stands at) on. kBlocked: go
  // on when the socket is writable, with an empty rest too: some ciphertext may be left.
  Sent Send(std::vector<iovec>& pieces, size_t& at);
  // Says that no more will be sent; once, and only if the socket takes it at once.
  void CloseNotify();

  // --- any thread ---
  // Bytes of ciphertext that wait for the socket to take them; Send does it, with no pieces too.
  size_t unsent();
  SSL& ssl() { return *ssl_; }  // for what does not change after the handshake

 private:
  friend struct TlsBio;

  // For OpenSSL, on whichever thread it runs. kNothing, kBroken, 0 or bytes.
  ssize_t Pull(char* into, size_t bytes);
  bool Push(const char* from, size_t bytes);
  // Sends what this thread's batch holds; keeps what the socket does not take. With the mutex held.
  bool SendBatch(bool more);
  bool EncryptBatch(std::vector<iovec>& pieces, size_t& at);
  bool Write(const void* from, size_t bytes);
  void NoteInput();
  Step FailHandshake(int error, std::string& why);

  const Owned<SSL> ssl_;
  const int fd_;
  std::mutex mutex_;          // guards the object and `unsent_`
  std::vector<char> unsent_;  // ciphertext that the socket did not take
  bool send_failed_ = false;  // guarded by mutex_
  bool said_close_ = false;   // guarded by mutex_
  // --- the receiving thread's ---
  std::vector<char> ahead_;  // ciphertext received already, from ahead_at_ on
  size_t ahead_at_ = 0;
  const char* input_ = nullptr;  // what Pull gives out next: in ahead_, or in this thread's memory
  size_t input_bytes_ = 0;
  size_t budget_ = 0;         // what may still be taken from the socket in this call
  size_t receive_bytes_ = 0;  // how much to ask the socket for
  bool drained_ = false;      // the socket had nothing more to give
  bool at_end_ = false;
  bool handshaking_ = true;
  size_t handshake_bytes_ = 0;
  bool has_buffered_ = false;
  bool in_record_ = false;
  bool wants_to_send_ = false;
  Failure failure_ = Failure::kNone;
};

}  // namespace tarn::tls
