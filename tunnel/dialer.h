// Dialer: makes one TLS connection to the first of a mount's servers that answers.
//
// The servers are asked in order, each of their addresses, with bounds on connecting and on the
// handshake; after a round without success it waits and begins again, until it is given up on.
// The server's certificate must be of the mount's authority and for its server_name.
//
// Threads: those of its loop only.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "common/tls/tls_stream.h"
#include "tunnel/limits.h"
#include "tunnel/loop.h"
#include "tunnel/resolver.h"
#include "tunnel/settings.h"

namespace tarn::tunnel {

// A TLS connection with a server. Its descriptor is in the loop's set.
struct Link {
  Link(Loop& where, Fd socket, tls::Owned<SSL> ssl)
      : loop(where), fd(std::move(socket)), stream(std::move(ssl), fd.get()) {}
  ~Link() {
    stream.CloseNotify();
    loop.Remove(fd.get());
  }
  Loop& loop;
  Fd fd;
  tls::TlsStream stream;
  std::shared_ptr<const Settings> settings;  // that it was made by
};

class Dialer : public Loop::Watcher, public Loop::Mortal {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    // It has a connection, and is not needed any more. Events go to the dialer until they are
    // directed elsewhere.
    virtual void OnDialed(std::unique_ptr<Link> link) = 0;
    // A round failed: `why` names the last server and what was wrong. False: no further one.
    virtual bool OnRoundFailed(const std::string& why) = 0;
  };

  Dialer(Loop& loop, Resolver& resolver, const Times& times, Owner& owner);
  ~Dialer() override;

  // Begins with the first server, after `wait`; what it is at is given up.
  void Start(std::shared_ptr<const Settings> settings, Loop::Duration wait = {});
  // Nothing more is done or told.
  void Stop();
  void OnEvents(uint32_t events) override;

 private:
  void NextServer();
  void OnResolved(Result<Resolver::Addresses> found);
  void NextAddress();
  bool Connect(const SocketAddress& address);
  void OnConnected();
  void Handshake();
  void DropAttempt();  // at one address
  void FailAddress(const std::string& why);
  void EndRound();

  Loop& loop_;
  Resolver& resolver_;
  const Times& times_;
  Owner& owner_;
  std::shared_ptr<const Settings> settings_;
  size_t server_ = 0;  // the next one
  Resolver::Addresses addresses_;
  size_t address_ = 0;  // the next one
  Fd connecting_;
  std::unique_ptr<Link> link_;
  std::string why_;  // of the last failure
  Times::Duration backoff_;
  Loop::Timer timer_;
  enum class Due { kServer, kGiveUp } due_ = Due::kServer;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);  // for answers that come too late
};

}  // namespace tarn::tunnel
