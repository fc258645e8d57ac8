// Replies of 4.0 compounds that must not run twice (RFC 7530 section 3.1: clients retransmit after
// a reconnect, and 4.0 has no sessions that would tell). Operations that an owner's seqid covers
// need none of this.
//
// A retransmission has the same client address, xid, and bytes. Threads: any; Begin waits while the
// first transmission still runs, which may wait for a disk.
#pragma once

#include <chrono>
#include <condition_variable>
#include <list>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/clock.h"
#include "server/rpc/peer_identity.h"

namespace tarn::nfs4 {

class ReplayCache {
 public:
  static constexpr size_t kRepliesMax = 8192;
  static constexpr size_t kReplyBytesMax = 4096;  // larger ones are not kept
  static constexpr std::chrono::seconds kKept{120};

  struct Key {
    std::string address;
    rpc::PeerIdentity identity;
    uint32_t xid = 0;
    uint64_t fingerprint = 0;
    bool operator==(const Key&) const = default;
  };

  explicit ReplayCache(const Clock& clock) : clock_(clock) {}
  // True: the request is new; call Finish. False: `reply` is the answer it got.
  bool Begin(const Key& key, std::vector<std::byte>& reply);
  void Finish(const Key& key, std::vector<std::byte> reply);

 private:
  struct Entry {
    Key key;
    bool running = true;
    std::chrono::nanoseconds since{};
    std::vector<std::byte> reply;
  };
  struct Hash {
    size_t operator()(const Key& key) const {
      return std::hash<std::string>()(key.address) ^ key.fingerprint ^ key.xid;
    }
  };
  void Trim();

  const Clock& clock_;
  std::mutex mutex_;
  std::condition_variable finished_;
  std::list<Entry> entries_;  // oldest first
  std::unordered_map<Key, std::list<Entry>::iterator, Hash> index_;
};

}  // namespace tarn::nfs4
