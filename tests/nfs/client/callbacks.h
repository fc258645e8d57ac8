// The client's side of callbacks (RFC 7530 section 15, RFC 8881 section 20): takes what the server
// calls, keeps it, and answers as it is told.
//
// Threads: not thread-safe. Nothing is taken unless the test receives: a 4.1 client takes calls
// while it waits for a reply, or in Client::WaitCallback; a 4.0 client in CallbackListener::Serve.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/nfs4.h"
#include "tests/nfs/client/rpc_connection.h"

namespace tarn::nfs_client {

struct Callback {
  uint32_t minor = 0;
  uint32_t ident = 0;
  nfs4::CB_SEQUENCE4args sequence;  // 4.1
  nfs4::nfs_cb_opnum4 op{};
  nfs4::stateid4 stateid;       // CB_RECALL, CB_OFFLOAD
  Bytes fh;                     // CB_RECALL, CB_GETATTR, CB_OFFLOAD
  nfs4::offload_info4 offload;  // CB_OFFLOAD
};

class CallbackProgram {
 public:
  // What operations other than CB_SEQUENCE are answered with.
  nfs4::nfsstat4 answer = nfs4::NFS4_OK;
  nfs4::nfsstat4 sequence_answer = nfs4::NFS4_OK;
  // What CB_GETATTR is told.
  uint64_t change = 0;
  uint64_t size = 0;
  bool deleg_times = false;  // with times that nobody asked for
  std::vector<Callback> calls;
  size_t nulls = 0;

  // The results of one call.
  xdr::Encoder Handle(uint32_t procedure, xdr::Decoder& arguments);

 private:
  void PutAttributes(xdr::Encoder& to) const;
};

// Where a 4.0 client listens: 127.0.0.1, a port of the system's choice.
class CallbackListener {
 public:
  explicit CallbackListener(CallbackProgram& program);
  ~CallbackListener();
  CallbackListener(const CallbackListener&) = delete;
  CallbackListener& operator=(const CallbackListener&) = delete;
  std::string universal_address() const;
  // Takes one call, or a connection and one call. False: none came in time.
  bool Serve();
  // Nobody listens any more.
  void Close();

 private:
  CallbackProgram& program_;
  int fd_ = -1;
  uint16_t port_ = 0;
  std::unique_ptr<RpcConnection> connection_;
};

}  // namespace tarn::nfs_client
