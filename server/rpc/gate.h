// Who may use a connection at all, asked once for each before its first call is run.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "server/rpc/program.h"

namespace tarn::rpc {

enum class Ruling : uint8_t { kAdmit, kRefuse, kPutOff };

// The answer to one question of the server's; given once, from any thread, at once or later. One
// that is dropped without an answer refuses. Cheap to move; may outlive
// the connection and the server.
class Verdict {
 public:
  class Taker {
   public:
    virtual ~Taker() = default;
    virtual void TakeVerdict(Ruling ruling, std::shared_ptr<const Admission> admission,
                             std::string why) = 0;
  };

  explicit Verdict(std::shared_ptr<Taker> taker) : taker_(std::move(taker)) {}
  ~Verdict() { Refuse("nobody decided"); }
  Verdict(Verdict&&) = default;
  Verdict& operator=(Verdict&&) = delete;

  // `admission` becomes Peer::admission of all the connection's calls; it may be null.
  void Admit(std::shared_ptr<const Admission> admission) {
    if (auto taker = std::move(taker_)) {
      taker->TakeVerdict(Ruling::kAdmit, std::move(admission), {});
    }
  }
  // The first call is answered with AUTH_TOOWEAK, which a kernel client makes EACCES of (a closed
  // connection alone would have it try for ever), then the connection is closed. `why` goes to the
  // log.
  void Refuse(std::string why) { Take(Ruling::kRefuse, std::move(why)); }
  // It cannot be told yet: the connection is closed without an answer, and clients try again.
  void PutOff(std::string why) { Take(Ruling::kPutOff, std::move(why)); }

 private:
  void Take(Ruling ruling, std::string why) {
    if (auto taker = std::move(taker_)) taker->TakeVerdict(ruling, nullptr, std::move(why));
  }

  std::shared_ptr<Taker> taker_;
};

// Thread-safe. Admit is called by a worker, with the peer's security and address known, and must
// not wait: what needs a slow look-up keeps the verdict (and a copy of what it needs of `peer`,
// which is valid during the call only) and answers from a thread of its own. Meanwhile the
// connection reads nothing and holds no worker; after ServerOptions::send_timeout it
// is dropped.
class Gate {
 public:
  virtual ~Gate() = default;
  virtual void Admit(const Peer& peer, Verdict verdict) = 0;
};

}  // namespace tarn::rpc
