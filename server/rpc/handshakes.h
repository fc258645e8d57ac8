// TLS handshakes that are under way: how many there may be, and when each must be done.
//
// Each costs memory, and a client that opens many without ever ending one must not keep others out.
// When there are as many as may be, in all or from one address, the oldest of them makes room if it
// has had kSafe, in which an honest client is long done; else the new one is refused.
//
// Threads: any.
#pragma once

#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace tarn::rpc {

class Connection;

struct HandshakeLimits {
  uint32_t all_max = 2048;
  // All mounts of a node may come from one address, and at once when a server has moved. Addresses
  // of one IPv6 /64 network count as one.
  uint32_t per_address_max = 512;
  std::chrono::milliseconds timeout{10'000};
};

class Handshakes {
 public:
  static constexpr std::chrono::milliseconds kSafe{1000};
  using Time = std::chrono::steady_clock::time_point;

  explicit Handshakes(const HandshakeLimits& limits) : limits_(limits) {}

  struct Begun {
    bool ok = false;
    std::shared_ptr<Connection> in_its_place_goes;  // to be dropped; may be null
  };
  Begun Begin(std::shared_ptr<Connection> connection, Time now);
  // It is done, or has failed. False: it was not among them (any more).
  bool End(const Connection& connection);
  // Takes out those whose time is over.
  std::vector<std::shared_ptr<Connection>> TakeLate(Time now);
  size_t size() const;

 private:
  struct Entry {
    std::shared_ptr<Connection> connection;
    std::string source;
    Time begun;
  };
  using Entries = std::list<Entry>;

  std::shared_ptr<Connection> TakeOut(Entries::iterator entry);
  // The oldest one of the source ("": of all), if it may be taken; else entries_.end().
  Entries::iterator OldestToGo(const std::string& source, Time now);

  const HandshakeLimits limits_;
  mutable std::mutex mutex_;
  Entries entries_;  // guarded by mutex_; the oldest first
  std::unordered_map<const Connection*, Entries::iterator> by_connection_;  // guarded by mutex_
  std::unordered_map<std::string, uint32_t> by_source_;                     // guarded by mutex_
};

}  // namespace tarn::rpc
