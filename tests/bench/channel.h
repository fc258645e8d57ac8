// One session's requests on one connection, as cheap for the load generator as can be: what is to
// be sent is collected and leaves in one system call, and so come replies; of a reply only its
// status is read unless a task asks for more.
//
// Threads: one.
#pragma once

#include <string>
#include <vector>

#include "tests/nfs/client/client.h"

namespace tarn::bench {

// A COMPOUND's reply; valid until the next Receive.
struct Reply {
  uint32_t slot = 0;
  nfs4::nfsstat4 status = nfs_client::kNoAnswer;
  xdr::Opaque record;

  // The results in full, SEQUENCE's apart.
  nfs_client::CompoundReply Parse() const;
};

class Channel {
 public:
  // A fresh client with slots + 1 slots: the first one stays the client's own. It must outlive
  // this, and not be used while something is under way.
  Channel(nfs_client::Client& client, uint32_t slots);

  // Takes a request with SEQUENCE in front. Data that `compound` refers to is copied.
  void Post(uint32_t slot, const nfs_client::Compound& compound);
  // Sends what was posted, and waits for a reply. False: `problem` says why.
  bool Receive(Reply& reply);
  // A reply is here already.
  bool HasReply() const { return RecordSize() != 0; }
  const std::string& problem() const { return problem_; }

 private:
  bool Fail(std::string why);
  bool Flush();
  // Of the whole record at from_, with its mark; 0 when it is not all there.
  size_t RecordSize() const;
  bool ReceiveMore();

  nfs_client::Client& client_;
  const uint32_t slots_;
  std::vector<std::byte> head_;  // a call up to its operations; xid, count and SEQUENCE patched in
  size_t count_at_ = 0;
  std::vector<std::byte> out_;
  std::vector<std::byte> in_;  // [from_, to_) was received and not given out
  size_t from_ = 0;
  size_t to_ = 0;
  std::vector<uint32_t> sequences_;  // by slot, the last one used
  std::vector<iovec> pieces_;
  std::string problem_;
};

}  // namespace tarn::bench
