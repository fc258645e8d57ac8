// Relay: carries bytes between an NFS client's local connection and a TLS connection below it,
// which may be missing for a while or be replaced between calls.
//
// Nothing is kept of an idle connection. What one side does not take is kept, one piece at most
// (as ciphertext for a server), and nothing more is read from the other side meanwhile.
//
// Threads: those of its loop only.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "tunnel/dialer.h"
#include "tunnel/loop.h"
#include "tunnel/mount.h"
#include "tunnel/record_watch.h"

namespace tarn::tunnel {

using Bytes = std::vector<std::byte>;

class Relay {
 public:
  // `held` is what the client sent and nobody got: it begins with a record. `kept_bytes` is what
  // all relays keep, together. `local` is in the loop's set already, or added by the owner.
  Relay(Loop& loop, Fd local, Bytes held, Mount& mount, std::atomic<size_t>& kept_bytes);
  ~Relay();

  void NoteLocal(uint32_t events);
  void NoteLink(uint32_t events);

  enum class End { kNone, kLocal, kLink };
  struct Turn {
    End end = End::kNone;  // that side ended, and what it had sent is delivered
    bool again = false;    // there is more to do, at once
  };
  // Carries what can be carried now, up to a bound.
  Turn Run();

  bool has_link() const { return link_ != nullptr; }
  const Settings* link_settings() const { return link_ ? link_->settings.get() : nullptr; }
  // The one before is closed. Null: none for now.
  void SetLink(std::unique_ptr<Link> link);
  // From here on, calls that the client begins wait; replies to the server's calls do not.
  void Hold(bool hold);
  // No call is outstanding and no record half way, in either direction.
  bool BetweenCalls() const;
  // The same, and nothing can begin: calls are held, or there is no link.
  bool Quiet() const { return (hold_ || !link_) && BetweenCalls(); }

  // Something came from the server over this link.
  bool answered() const { return answered_; }
  bool local_left() const { return local_eof_; }
  // Of a link that ended.
  const std::string& why_ended() const { return why_ended_; }

  // What remains when it ends: the client's connection, and what it sent that is held.
  Fd TakeLocal() { return std::move(local_); }
  Bytes TakeHeld();
  int local_fd() const { return local_.get(); }

 private:
  static constexpr size_t kTurnBytes = 1u << 20;  // of one Run, each way

  void PumpDown(Turn& turn);
  void PumpUp(Turn& turn);
  bool FlushDown();
  bool FlushUp();
  size_t SendLocal(const std::byte* from, size_t bytes);
  size_t SendLink(std::byte* from, size_t bytes);
  bool ReadLocal(size_t& budget);
  void Keep(Bytes& where, const std::byte* from, size_t bytes);
  void Drop(Bytes& where);
  // Ciphertext that waits for a slow server is kept, too.
  void CountUnsent(size_t unsent);
  size_t PieceBytes() const;

  Loop& loop_;
  Fd local_;
  Mount& mount_;
  std::atomic<size_t>& kept_bytes_;
  std::unique_ptr<Link> link_;
  RecordWatch watch_up_, watch_down_;
  Bytes up_;  // from the client: [up_at_, up_passed_) may go, what is behind it is held
  size_t up_at_ = 0, up_passed_ = 0;
  Bytes down_;  // from the server, from down_at_ on
  size_t down_at_ = 0;
  bool local_readable_ = false, local_writable_ = true;
  bool local_hup_ = false, local_eof_ = false, local_broken_ = false;
  bool link_readable_ = false, link_writable_ = true;
  bool link_hup_ = false, link_ended_ = false;
  bool link_blocked_ = false;  // ciphertext waits for the socket
  size_t unsent_ = 0;          // how much of that is counted in kept_bytes_
  bool hold_ = false;
  bool answered_ = false;
  std::string why_ended_;
};

}  // namespace tarn::tunnel
