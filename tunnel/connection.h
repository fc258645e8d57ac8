// Connection: one NFS client's connection through the tunnel, for its whole life.
//
//   no link      a dialer looks for a server; the client's bytes wait in its socket. After
//                Times::unanswered the client's connection is closed
//   link         bytes are carried
//   link ends    with a call outstanding or a record half way: the client's connection is closed,
//                and it comes again and sends its calls again, as NFS has it. Else the next link is
//                dialed below the same connection, and the client notices nothing
//   moving       the mount has new settings: a second link is dialed; when it is there, new calls
//                are held until those that run are answered, then it takes over. If that takes
//                longer than Times::quiet the old one goes on, until the next try
//   hand-over    new calls are held in the same way; then the client's connection goes to another
//                process
//
// Threads: those of its loop only.
#pragma once

#include <functional>
#include <memory>

#include "tunnel/dialer.h"
#include "tunnel/relay.h"

namespace tarn::tunnel {

// What a connection takes along to another process.
struct Departure {
  std::shared_ptr<Mount> mount;
  Fd local;
  Bytes held;
};

// What connections have in common.
struct Common {
  Resolver& resolver;
  const Times& times;
  std::atomic<size_t>& kept_bytes;
};

class Connection : public Loop::Mortal, public Dialer::Owner {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    // It has ended and is to be buried.
    virtual void OnEnded(Connection& connection) = 0;
  };

  Connection(Loop& loop, const Common& common, std::shared_ptr<Mount> mount, Fd local, Bytes held,
             Owner& owner);
  ~Connection() override;

  // It ends at once if the system has no room for it.
  void Start();
  // The mount has other settings than before.
  void Move();
  // Calls `depart` when it may go, and ends. If it is busy for longer than Times::hand_over it
  // ends without.
  void HandOver(std::function<void(Departure)> depart);
  // Stays after all.
  void Stay();
  Mount& mount() { return *mount_; }

  void OnDialed(std::unique_ptr<Link> link) override;
  bool OnRoundFailed(const std::string& why) override;

 private:
  // Either side's events, told apart.
  struct Side : Loop::Watcher {
    Side(Connection& whose, void (Relay::*which)(uint32_t)) : connection(whose), note(which) {}
    void OnEvents(uint32_t events) override;
    Connection& connection;
    void (Relay::*note)(uint32_t);
  };

  void Run();
  void OnLinkEnded();
  // Calls wait, and all that was waited for has come.
  void OnQuiet();
  void UseLink(std::unique_ptr<Link> link);
  void Dial(Times::Duration wait);
  void StopDialing();
  void OnTimer();
  void TryAgainLater();
  void Failed(const std::string& why);
  void End();

  Loop& loop_;
  const Common& common_;
  const std::shared_ptr<Mount> mount_;
  Owner& owner_;
  Relay relay_;
  Side local_side_, link_side_, next_side_;
  std::unique_ptr<Dialer> dialer_;
  std::unique_ptr<Link> next_;  // takes over when it is quiet
  std::function<void(Departure)> depart_;
  Loop::Timer timer_;
  enum class Due { kUnanswered, kQuiet, kMove, kHandOver, kLastBytes } due_ = Due::kUnanswered;
  Loop::Time unanswered_since_;
  Loop::Time linked_since_;     // of this link
  unsigned useless_links_ = 0;  // in a row, that ended before anything came
  bool answer_noted_ = false;   // of this link
  bool ended_ = false;
};

}  // namespace tarn::tunnel
