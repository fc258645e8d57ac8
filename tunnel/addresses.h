// The loopback addresses of mounts: a port each, for as long as the mount is open.
//
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <utility>

#include "common/result.h"
#include "tunnel/loop.h"

namespace tarn::tunnel {

struct LocalAddress {
  std::string address;
  uint16_t port = 0;
};

class Addresses {
 public:
  // `first` of kLoopbackAddresses, within 127.0.0.0/8; what is none counts as kFirstLoopback.
  // `start`: any number, with which the first port to be given is chosen.
  Addresses(const std::string& first, uint32_t start);

  struct Taken {
    LocalAddress at;
    Fd listener;
  };
  // The next one that is free here and that nobody else listens on. One that was given back comes
  // last: a client that its mount left behind must not speak with another mount's identity.
  // kLimitExceeded: there is none.
  Result<Taken> TakeAny();
  // That one. kInUse: somebody else listens on it; it stays reserved all the same.
  Result<Fd> Take(const LocalAddress& at);
  // Its listener came from another process.
  void Reserve(const LocalAddress& at) { taken_.insert({at.address, at.port}); }
  void GiveBack(const LocalAddress& at) { taken_.erase({at.address, at.port}); }

 private:
  uint32_t first_;  // in host order
  uint32_t next_;   // the place, of all ports of all addresses, that is looked at next
  std::set<std::pair<std::string, uint16_t>> taken_;
};

}  // namespace tarn::tunnel
