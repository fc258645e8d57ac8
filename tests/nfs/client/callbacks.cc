#include "tests/nfs/client/callbacks.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace tarn::nfs_client {

using namespace nfs4;

namespace {

void TakeOperation(const nfs_cb_argop4& arg, Callback& call) {
  call.op = arg.argop;
  if (arg.argop == OP_CB_RECALL) {
    const CB_RECALL4args& recall = arg.opcbrecall;
    call.stateid = recall.stateid;
    call.fh.assign(recall.fh.begin(), recall.fh.end());
  }
  if (arg.argop == OP_CB_GETATTR) {
    call.fh.assign(arg.opcbgetattr.fh.begin(), arg.opcbgetattr.fh.end());
  }
  if (arg.argop == OP_CB_OFFLOAD) {
    const CB_OFFLOAD4args& told = arg.opcboffload;
    call.stateid = told.coa_stateid;
    call.fh.assign(told.coa_fh.begin(), told.coa_fh.end());
    call.offload = told.coa_offload_info;
  }
}

}  // namespace

void CallbackProgram::PutAttributes(xdr::Encoder& to) const {
  xdr::Bitmap told = {FATTR4_CHANGE, FATTR4_SIZE};
  if (deleg_times) told.Set(FATTR4_TIME_DELEG_ACCESS);
  Encode(to, told);
  to.Put(deleg_times ? 28U : 16U);
  to.Put(change);
  to.Put(size);
  if (!deleg_times) return;
  to.Put(int64_t{1});
  to.Put(uint32_t{0});
}

xdr::Encoder CallbackProgram::Handle(uint32_t procedure, xdr::Decoder& arguments) {
  xdr::Encoder results;
  if (procedure == CB_NULL) {
    ++nulls;
    return results;
  }
  CB_COMPOUND4args args;
  if (!Decode(arguments, args)) return results;
  Callback call;
  call.minor = args.minorversion;
  call.ident = args.callback_ident;
  bool sequenced = !args.argarray.empty() && args.argarray[0].argop == OP_CB_SEQUENCE;
  if (sequenced) call.sequence = args.argarray[0].opcbsequence;
  bool refused = sequenced && sequence_answer != NFS4_OK;
  results.Put(static_cast<uint32_t>(refused ? sequence_answer : answer));
  results.PutString("");
  results.Put(refused ? 1U : static_cast<uint32_t>(args.argarray.size()));
  if (sequenced) {
    Encode(results, OP_CB_SEQUENCE);
    results.Put(static_cast<uint32_t>(sequence_answer));
    if (!refused) {
      Encode(results, CB_SEQUENCE4resok{.csr_sessionid = call.sequence.csa_sessionid,
                                        .csr_sequenceid = call.sequence.csa_sequenceid,
                                        .csr_slotid = call.sequence.csa_slotid,
                                        .csr_highest_slotid = 0,
                                        .csr_target_highest_slotid = 0});
    }
  }
  for (const nfs_cb_argop4& arg : args.argarray) {
    if (arg.argop == OP_CB_SEQUENCE || refused) continue;
    TakeOperation(arg, call);
    Encode(results, arg.argop);
    results.Put(static_cast<uint32_t>(answer));
    if (arg.argop == OP_CB_GETATTR && answer == NFS4_OK) PutAttributes(results);
  }
  calls.push_back(std::move(call));
  return results;
}

CallbackListener::CallbackListener(CallbackProgram& program) : program_(program) {
  fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(at);
  auto* name = reinterpret_cast<sockaddr*>(&at);
  bool ok = bind(fd_, name, size) == 0 && listen(fd_, 8) == 0 && getsockname(fd_, name, &size) == 0;
  if (ok) port_ = ntohs(at.sin_port);
}

CallbackListener::~CallbackListener() {
  Close();
}

void CallbackListener::Close() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
  connection_.reset();
}

std::string CallbackListener::universal_address() const {
  return "127.0.0.1." + std::to_string(port_ >> 8) + "." + std::to_string(port_ & 0xff);
}

bool CallbackListener::Serve() {
  if (!connection_) {
    pollfd waits{.fd = fd_, .events = POLLIN, .revents = 0};
    if (poll(&waits, 1, RpcConnection::kTimeoutSeconds * 1000) != 1) return false;
    connection_ = RpcConnection::Adopt(accept(fd_, nullptr, nullptr));
    connection_->OnCall([this](uint32_t procedure, xdr::Decoder& arguments) {
      return program_.Handle(procedure, arguments);
    });
  }
  if (connection_->ServeCall().ok()) return true;
  connection_.reset();
  return false;
}

}  // namespace tarn::nfs_client
