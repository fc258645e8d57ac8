#include "common/tls/tls_stream.h"

#include <openssl/sslerr.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "common/tls/tls_context.h"

namespace tarn::tls {
namespace {

constexpr size_t kInputBytes = 128 * 1024;      // of one recv for bulk data
constexpr size_t kSmallInputBytes = 16 * 1024;  // and for less

// What a thread lends to the stream that it works on; nothing is left in it between two calls.
struct Lent {
  std::unique_ptr<char[]> input;
  std::vector<char> batch;
  std::unique_ptr<char[]> record;  // small pieces on their way to be one TLS record
};

Lent& OfThisThread() {
  thread_local Lent lent;
  return lent;
}

}  // namespace

// The transport that OpenSSL sees.
struct TlsBio {
  static TlsStream& Of(BIO* bio) { return *static_cast<TlsStream*>(BIO_get_data(bio)); }

  static int Read(BIO* bio, char* into, int bytes) {
    BIO_clear_retry_flags(bio);
    ssize_t got = Of(bio).Pull(into, static_cast<size_t>(bytes));
    if (got == TlsStream::kNothing) BIO_set_retry_read(bio);
    return got < 0 ? -1 : static_cast<int>(got);
  }

  static int Write(BIO* bio, const char* from, int bytes) {
    BIO_clear_retry_flags(bio);
    return Of(bio).Push(from, static_cast<size_t>(bytes)) ? bytes : -1;
  }

  static long Control(BIO* bio, int command, long, void*) {  // NOLINT(google-runtime-int)
    if (command == BIO_CTRL_EOF) return Of(bio).at_end_ ? 1 : 0;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
  }

  static const BIO_METHOD* Method() {
    static BIO_METHOD* const method = [] {
      BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "tarn socket");
      BIO_meth_set_read(made, Read);
      BIO_meth_set_write(made, Write);
      BIO_meth_set_ctrl(made, Control);
      return made;
    }();
    return method;
  }
};

TlsStream::TlsStream(Owned<SSL> ssl, int fd) : ssl_(std::move(ssl)), fd_(fd) {
  BIO* bio = BIO_new(TlsBio::Method());
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
}

TlsStream::~TlsStream() = default;

// --- the transport ---

ssize_t TlsStream::Pull(char* into, size_t bytes) {
  if (input_bytes_ == 0) {
    Lent& lent = OfThisThread();
    if (!lent.input) lent.input = std::make_unique_for_overwrite<char[]>(kInputBytes);
    // The last question got less than it asked for: there was no more, and there is an event when
    // there is.
    if (drained_ || budget_ < receive_bytes_) return kNothing;
    ssize_t got = 0;
    do {
      got = recv(fd_, lent.input.get(), receive_bytes_, MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    if (got < 0) return errno == EAGAIN || errno == EWOULDBLOCK ? kNothing : kBroken;
    if (got == 0) {
      at_end_ = true;
      return 0;
    }
    drained_ = static_cast<size_t>(got) < receive_bytes_;
    budget_ -= static_cast<size_t>(got);
    input_ = lent.input.get();
    input_bytes_ = static_cast<size_t>(got);
  }
  size_t given = std::min(bytes, input_bytes_);
  if (handshaking_ && (handshake_bytes_ += given) > kHandshakeBytesMax) return kBroken;
  std::memcpy(into, input_, given);
  input_ += given;
  input_bytes_ -= given;
  return static_cast<ssize_t>(given);
}

bool TlsStream::Push(const char* from, size_t bytes) {
  std::vector<char>& batch = OfThisThread().batch;
  if (unsent_.size() + batch.size() + bytes > kUnsentBytesMax) return false;
  batch.insert(batch.end(), from, from + bytes);
  return true;
}

bool TlsStream::SendBatch(bool more) {
  std::vector<char>& batch = OfThisThread().batch;
  bool queued = !unsent_.empty();
  if (queued) unsent_.insert(unsent_.end(), batch.begin(), batch.end());
  std::vector<char>& bytes = queued ? unsent_ : batch;
  size_t at = 0;
  while (at < bytes.size() && !send_failed_) {
    ssize_t sent = send(fd_, bytes.data() + at, bytes.size() - at,
                        MSG_NOSIGNAL | MSG_DONTWAIT | (more ? MSG_MORE : 0));
    if (sent >= 0) {
      at += static_cast<size_t>(sent);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      break;
    } else if (errno != EINTR) {
      send_failed_ = true;
    }
  }
  std::vector<char> rest(bytes.begin() + static_cast<ptrdiff_t>(at), bytes.end());
  if (send_failed_) rest.clear();
  unsent_.swap(rest);
  batch.clear();
  return !send_failed_;
}

// Takes over, or gives back, what lies in this thread's memory only for now.
void TlsStream::NoteInput() {
  if (input_bytes_ == 0) {
    if (ahead_.capacity() > 0) ahead_ = {};
  } else if (input_ < ahead_.data() || input_ >= ahead_.data() + ahead_.size()) {
    ahead_.assign(input_, input_ + input_bytes_);
    input_ = ahead_.data();
  }
}

// --- receiving ---

TlsStream::Step TlsStream::Handshake(std::string& why) {
  receive_bytes_ = kSmallInputBytes;
  budget_ = kHandshakeBytesMax + kSmallInputBytes;
  drained_ = false;
  int done = 0;
  int error = SSL_ERROR_NONE;
  {
    std::lock_guard lock(mutex_);
    ERR_clear_error();
    done = SSL_do_handshake(ssl_.get());
    error = SSL_get_error(ssl_.get(), done);
    if (done == 1) handshaking_ = false;
    SendBatch(false);
    wants_to_send_ = !unsent_.empty();
  }
  NoteInput();
  if (done == 1) {
    has_buffered_ = input_bytes_ > 0 || !drained_;
    return Step::kDone;
  }
  if (error == SSL_ERROR_WANT_READ) return Step::kAgain;
  return FailHandshake(error, why);
}

TlsStream::Step TlsStream::FailHandshake(int error, std::string& why) {
  unsigned long code = ERR_peek_error();  // NOLINT(google-runtime-int): OpenSSL's own type
  int reason = code == 0 ? 0 : ERR_GET_REASON(code);
  why = CertificateProblem(*ssl_);
  if (!why.empty()) {
    failure_ = Failure::kCertificate;
  } else if (handshake_bytes_ > kHandshakeBytesMax) {
    failure_ = Failure::kTooLong;
    why = "more than " + std::to_string(kHandshakeBytesMax) + " bytes";
  } else if (reason == SSL_R_UNSUPPORTED_PROTOCOL || reason == SSL_R_WRONG_VERSION_NUMBER ||
             reason == SSL_R_VERSION_TOO_LOW || reason == SSL_R_WRONG_SSL_VERSION) {
    failure_ = Failure::kVersion;
    why = "the client offers neither TLS 1.3 nor 1.2";
  } else if (at_end_ || (error == SSL_ERROR_SYSCALL && code == 0)) {
    failure_ = Failure::kClosed;
    why = "the client went away";
  } else {
    failure_ = Failure::kProtocol;
    why = TakeOpenSslError();
  }
  ERR_clear_error();
  return Step::kFailed;
}

ssize_t TlsStream::Receive(std::byte* into, size_t bytes) {
  receive_bytes_ = bytes > kSmallInputBytes ? kInputBytes : kSmallInputBytes;
  // Twice: what was asked for in TLS records that are small, and a record that began before.
  budget_ = 2 * (bytes + receive_bytes_);
  drained_ = false;
  size_t done = 0;
  bool decrypted = false;  // and not yet given out
  bool partial = false;
  wants_to_send_ = false;
  int error = SSL_ERROR_NONE;
  while (done < bytes && error == SSL_ERROR_NONE) {
    size_t got = 0;
    std::lock_guard lock(mutex_);
    ERR_clear_error();
    int ok = SSL_read_ex(ssl_.get(), into + done, bytes - done, &got);
    if (ok == 1) {
      done += got;
    } else {
      error = SSL_get_error(ssl_.get(), ok);
    }
    if (!OfThisThread().batch.empty()) {
      if (!SendBatch(false)) error = SSL_ERROR_SYSCALL;
      wants_to_send_ = !unsent_.empty();
    }
    decrypted = SSL_pending(ssl_.get()) > 0;
    partial = SSL_has_pending(ssl_.get()) == 1;
  }
  NoteInput();
  bool empty = error == SSL_ERROR_WANT_READ;
  // An end or a failure behind bytes raises no event of its own, and comes again next time.
  has_buffered_ = !empty && (input_bytes_ > 0 || decrypted || error != SSL_ERROR_NONE);
  in_record_ = empty && partial;
  if (done > 0) return static_cast<ssize_t>(done);
  if (empty) return kNothing;
  return error == SSL_ERROR_ZERO_RETURN ? 0 : kBroken;
}

// --- sending ---

size_t TlsStream::unsent() {
  std::lock_guard lock(mutex_);
  return unsent_.size();
}

bool TlsStream::Write(const void* from, size_t bytes) {
  size_t written = 0;
  return SSL_write_ex(ssl_.get(), from, bytes, &written) == 1 && written == bytes;
}

// Whole TLS records go straight from their piece; smaller pieces are put together first.
bool TlsStream::EncryptBatch(std::vector<iovec>& pieces, size_t& at) {
  Lent& lent = OfThisThread();
  size_t left = kBatchBytes;
  auto take = [&pieces, &at, &left](size_t bytes) {
    iovec& piece = pieces[at];
    piece.iov_base = static_cast<char*>(piece.iov_base) + bytes;
    piece.iov_len -= bytes;
    left -= bytes;
    if (piece.iov_len == 0) ++at;
  };
  while (at < pieces.size() && left > 0) {
    size_t whole = std::min(pieces[at].iov_len, left);
    bool last = at + 1 == pieces.size();
    if (!last || whole < pieces[at].iov_len) whole -= whole % kRecordBytes;
    if (whole > 0) {
      if (!Write(pieces[at].iov_base, whole)) return false;
      take(whole);
      continue;
    }
    if (!lent.record) lent.record = std::make_unique_for_overwrite<char[]>(kRecordBytes);
    size_t filled = 0;
    while (at < pieces.size() && filled < kRecordBytes && left > 0) {
      size_t bytes = std::min({pieces[at].iov_len, kRecordBytes - filled, left});
      std::memcpy(lent.record.get() + filled, pieces[at].iov_base, bytes);
      filled += bytes;
      take(bytes);
    }
    if (filled > 0 && !Write(lent.record.get(), filled)) return false;
  }
  return true;
}

TlsStream::Sent TlsStream::Send(std::vector<iovec>& pieces, size_t& at) {
  while (true) {
    std::lock_guard lock(mutex_);
    if (!unsent_.empty()) SendBatch(at < pieces.size());
    if (send_failed_ || said_close_) return Sent::kBroken;
    if (!unsent_.empty()) return Sent::kBlocked;
    if (at == pieces.size()) return Sent::kAll;
    ERR_clear_error();
    bool ok = EncryptBatch(pieces, at);
    SendBatch(at < pieces.size());
    if (!ok) return Sent::kBroken;
  }
}

void TlsStream::CloseNotify() {
  std::lock_guard lock(mutex_);
  if (said_close_ || send_failed_ || !unsent_.empty() || handshaking_) return;
  said_close_ = true;
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
  SendBatch(false);
  ERR_clear_error();
}

}  // namespace tarn::tls
