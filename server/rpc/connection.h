// One TCP connection of the RPC server: who may read it, what waits to be sent on it, whether it
// may make calls at all, when it ends.
//
// The read side is a token. It lies in the epoll set (armed), with the worker that got its event
// (reading), or with the connection itself (paused: too many bytes pending). Only its holder reads,
// arms, or ends the read side, so an armed connection's pointer is always good. Replies are sent by
// any thread under the send mutex. What the socket does not take is queued, and goes on from the
// flush set, which is a second epoll set watched by the server's own thread. The last owner's
// release closes the socket and tells the program.
#pragma once

#include <sys/uio.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "server/rpc/call_channel.h"
#include "server/rpc/flush_set.h"
#include "server/rpc/gate.h"
#include "server/rpc/program.h"
#include "server/rpc/record_reader.h"

namespace tarn::rpc {

using Monotonic = std::chrono::steady_clock;

// A reply in one piece of ownership: its own bytes, and the request's, which it may point into.
// Replies that were held back go in front of it, as plain bytes.
struct Reply {
  std::vector<std::byte> held;
  xdr::Encoder bytes;
  Buffer request;
};

class Connection : public std::enable_shared_from_this<Connection>, public Origin {
 public:
  // Where the connection is watched; all outlive it.
  struct Home {
    Program& program;
    BufferPool& pool;
    FlushSet& flush_set;
    int read_set;  // epoll, one shot, data.ptr is the Connection
    size_t pending_bytes_max;
    std::shared_ptr<Dialer> dialer;
  };

  // Takes ownership of the non-blocking socket `fd`.
  Connection(const Home& home, int fd, Peer peer, uint64_t listener_id);
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  const Peer& peer() const { return peer_; }
  uint64_t listener_id() const { return listener_id_; }
  int fd() const { return stream_.fd(); }

  // --- the read token's holder only ---
  // kFresh: nothing was received, so it may become a TLS connection.
  enum class Phase : uint8_t { kFresh, kHandshake, kOpen };
  Phase phase() const { return phase_; }
  void Open() { phase_ = Phase::kOpen; }
  // From now on all goes through TLS.
  void StartTls(std::unique_ptr<tls::TlsStream> tls, bool rpc_with_tls);
  bool rpc_with_tls() const { return rpc_with_tls_; }
  Stream& stream() { return stream_; }
  // The handshake is done.
  void Secure(std::shared_ptr<const Security> security);
  // TLS itself may have something to send: it does so once the socket is writable.
  void FlushTls() {
    if (stream_.tls() != nullptr && stream_.tls()->WantsToSend()) FlushLater();
  }
  // First thing after an event. Makes visible what the last holder did: the kernel does so too, but
  // neither the language nor its race detector knows.
  void TakeToken();
  RecordReader& reader() { return reader_; }
  // There is something to read that raises no event.
  bool HasMore() const { return reader_.HasRecord() || stream_.HasBuffered(); }
  bool InRecord() const { return reader_.InRecord() || stream_.InRecord(); }
  // Puts a new connection into the read set; the token is in it afterwards.
  bool Watch();
  // Gives the token away: to the read set, or to the connection while too much is pending.
  void Rearm();
  // Should the next record be run by the same worker? Not while much is pending, or the peer does
  // not take its replies.
  bool MayReadOn() const {
    return pending_bytes_.load() <= home_.pending_bytes_max && queued_since_.load() == 0;
  }
  // Whether clients lately sent calls in a row, so that asking the socket again is worth while.
  bool in_a_row() const { return in_a_row_ > 0; }
  void NoteInARow(bool yes) { in_a_row_ = yes ? kInARow : in_a_row_ - (in_a_row_ > 0 ? 1 : 0); }
  // Ends the read side; the token is gone. Replies still leave.
  void EndReading();
  // A record that is no call: is it the answer to one of ours?
  bool TakeReply(xdr::Opaque record);

  // --- admission: the read token's holder only, but for admitted() ---
  // Its calls are run. Seen as true, the peer is what its calls see.
  bool admitted() const { return admitted_.load(std::memory_order_acquire); }
  void SetAdmitted(std::shared_ptr<const Admission> admission);
  // A question to the gate, after which TakeVerdict is called. `when` comes back with the answer.
  void BeginQuestion(uint64_t when);
  bool asked();
  enum class Answer { kNone, kLater, kAdmitted, kRefused, kPutOff };
  // What the gate said. kNone: it was not asked. kLater: the read token now lies with the
  // connection until it says something; `record` is given again by the reader then. kRefused and
  // kPutOff: `why` says it; kRefused is also the answer when there is no memory for the record.
  Answer TakeAnswer(Record& record, std::shared_ptr<const Admission>& admission, std::string& why,
                    uint64_t& when);
  // Any thread.
  void TakeVerdict(Ruling ruling, std::shared_ptr<const Admission> admission, std::string why);

  // --- any thread ---
  // Counts a request's bytes while it runs, as its reply's are while it is queued.
  void AddPending(size_t bytes) { pending_bytes_.fetch_add(bytes); }
  void RemovePending(size_t bytes);
  // Sends `reply`, or queues what the socket does not take; never waits. When it is queued, `reply`
  // is moved from and the result is true; when not, reply.held is empty afterwards. Nothing happens
  // on a broken connection.
  bool Send(Reply& reply, std::vector<iovec>& pieces);
  // Some of what was sent waits for the socket.
  bool queued() const { return queued_since_.load() != 0; }
  // The socket takes more of what is queued. Called by the flush set.
  void Flush();
  // Makes the peer see the end and the read token's holder come; for dropping a connection.
  void Kick();
  // Since when the peer takes no reply, or owes the rest of a record; `none` when it does neither.
  static constexpr Monotonic::time_point kNone = Monotonic::time_point::max();
  Monotonic::time_point StalledSince() const;
  // A record is all here within so many send timeouts: a byte now and then is no progress.
  static constexpr int kRecordTimeouts = 4;
  // A record began before `since` that the peer has not sent all of yet.
  bool Trickles(Monotonic::time_point since) const;
  // By the holder of the token: bytes have come; and before that, where they ended a record.
  void NoteReading(bool in_record);
  void NoteRecord();

  // --- calls the other way; any thread ---
  std::shared_ptr<CallChannel> Channel() override;
  std::shared_ptr<Dialer> dialer() const override { return home_.dialer; }
  void ExpireCalls(Monotonic::time_point now);
  // No call goes out any more, and those without an answer learn it. At the end of reading, and
  // before the server lets go of the connection.
  void EndChannel();

 private:
  struct Queued {
    Reply reply;
    std::vector<iovec> pieces;  // what is left of it
    size_t bytes = 0;
  };

  struct Question {
    uint64_t when = 0;
    Answer answer = Answer::kNone;
    bool parked = false;  // the read token lies here
    std::shared_ptr<const Admission> admission;
    std::string why;
  };

  static constexpr int kInARow = 4;  // vain questions to the socket until no more are asked

  void Arm();
  // Reading goes on after a pause. The token lies with the connection.
  void Resume();
  bool PollsNow(short events) const;
  void FlushLater();
  // Sends from pieces[at...]; false when the socket takes no more now (or never, broken_).
  bool SendPieces(std::vector<iovec>& pieces, size_t& at);
  void Break();
  void ReleaseParked();

  const Home& home_;
  Stream stream_;  // StartTls with mutex_ held, too
  Peer peer_;      // what changes is set before admitted_, by the token's holder
  const uint64_t listener_id_;
  RecordReader reader_;
  int in_a_row_ = 0;             // the token's holder only
  Phase phase_ = Phase::kFresh;  // the token's holder only
  bool rpc_with_tls_ = false;    // the token's holder only
  std::atomic<bool> admitted_{false};
  // When a record that is here already was put behind the peer's taking of replies; 0: none was.
  // Also what hands the token over.
  std::atomic<Monotonic::rep> ahead_since_{0};
  std::atomic<size_t> pending_bytes_{0};
  std::atomic<bool> paused_{false};
  std::atomic<Monotonic::rep> record_since_{0};  // 0: not within a record; else its last bytes
  std::atomic<Monotonic::rep> record_begun_{0};  // 0: not within a record; else its first bytes
  std::atomic<Monotonic::rep> queued_since_{0};  // 0: nothing queued; else the last progress
  std::atomic<Monotonic::rep> asked_since_{0};   // 0: no question to the gate is open
  std::mutex mutex_;                             // guards what is below, and each sendmsg
  // Absent while nothing waits: a deque is large. There and empty: TLS alone has bytes to send.
  std::unique_ptr<std::deque<Queued>> queue_;
  std::unique_ptr<Question> question_;
  bool broken_ = false;
  bool channel_ended_ = false;
  std::shared_ptr<CallChannel> channel_;  // made when first asked for
};

}  // namespace tarn::rpc
