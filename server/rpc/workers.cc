// How calls are run: see server.h.
#include <algorithm>

#include "common/log.h"
#include "server/rpc/tcp_server.h"

namespace tarn::rpc {
namespace {

constexpr int kRecordsPerTurn = 64;          // of one connection, then others have theirs
constexpr size_t kHeldBytesMax = 64 * 1024;  // of replies that wait for those behind them
// Copying so much costs less than a system call.
constexpr size_t kHeldReplyBytesMax = 8 * 1024;

}  // namespace

void TcpServer::EndReading(Connection& connection) {
  connection.EndReading();
  if (connection.peer().security) tls_connections_.fetch_sub(1);
  std::shared_ptr<Connection> last;  // released after the lock: its end calls the program
  std::lock_guard lock(mutex_);
  last = connections_.at(connection.peer().connection);
  Forget(last);
}

void TcpServer::Drop(Connection& connection, Desk& desk, const std::string& why) {
  Count(desk.bad_records, 1);
  if (refusals_log_.Take()) {
    spdlog::info("dropped {} port {}: {}", connection.peer().address, connection.peer().port, why);
  }
  connection.Kick();
  EndReading(connection);
}

void TcpServer::SendReply(Connection& connection, Desk& desk) {
  // A queued reply takes along what it may point into.
  bool in_scratch = !desk.record.large.data;
  desk.reply.request = std::move(in_scratch ? desk.scratch : desk.record.large);
  desk.reply.held.swap(desk.held);
  if (connection.Send(desk.reply, desk.pieces)) return;
  desk.held.swap(desk.reply.held);
  (in_scratch ? desk.scratch : desk.record.large) = std::move(desk.reply.request);
  desk.reply.bytes.Clear();
}

// The functions from here on are called from one place: as inline ones they become one, which is 2
// % of a GETATTR.
inline bool TcpServer::Answer(Connection& connection, Desk& desk) {
  xdr::Decoder arguments(desk.record.bytes);
  xdr::Encoder& reply = desk.reply.bytes;
  CallHeader& header = desk.header;
  switch (ReadCallHeader(arguments, header, desk.denied)) {
    case HeaderStatus::kNoCall:
      return false;
    case HeaderStatus::kDenied:
      DenyReply(reply, header.xid, desk.denied);
      FinishReply(reply);
      return true;
    case HeaderStatus::kCall:
      break;
  }
  version_range versions = program_.versions();
  if (header.program != program_.number()) {
    FailReply(reply, header.xid, PROG_UNAVAIL);
  } else if (header.version < versions.low || header.version > versions.high) {
    FailReply(reply, header.xid, PROG_MISMATCH, versions);
  } else {
    BeginReply(reply, header.xid);
    Call call{.xid = header.xid,
              .version = header.version,
              .procedure = header.procedure,
              .credential = header.credential,
              .peer = connection.peer(),
              .observer = &desk,
              .origin = &connection};
    accept_stat stat = program_.Handle(call, arguments, reply);
    if (stat != SUCCESS) FailReply(reply, header.xid, stat);
  }
  FinishReply(reply);
  return true;
}

// More calls of this connection are here, and this worker will run the next one at once: then one
// system call will send its reply and this one.
inline bool TcpServer::Hold(Connection& connection, Desk& desk) {
  bool may = desk.reading != nullptr && connection.reader().HasRecord() &&
             desk.reply.bytes.size() <= kHeldReplyBytesMax &&
             desk.held.size() + desk.reply.bytes.size() <= kHeldBytesMax;
  if (!may) return false;
  desk.reply.bytes.AppendTo(desk.held);
  desk.reply.bytes.Clear();  // lets go of what it holds
  return true;
}

inline bool TcpServer::Run(Connection& connection, Desk& desk) {
  size_t cost = desk.record.bytes.size();
  Count(desk.bytes_in, cost + sizeof(uint32_t));
  connection.NoteRecord();
  connection.NoteReading(connection.InRecord());
  connection.AddPending(cost);
  desk.reading = &connection;
  if (!program_tells_waits_) desk.AboutToWait();
  WaitScope scope(&desk);
  if (Answer(connection, desk)) {
    Count(desk.calls, 1);
    Count(desk.bytes_out, desk.reply.bytes.size());
    if (!Hold(connection, desk)) SendReply(connection, desk);
  } else if (!connection.TakeReply(desk.record.bytes)) {
    Count(desk.bad_records, 1);
    if (refusals_log_.Take()) {
      spdlog::info("dropped {} port {}: a record of {} bytes that is no RPC call",
                   connection.peer().address, connection.peer().port, cost);
    }
    connection.Kick();
  }
  pool_.Give(std::move(desk.record.large));
  connection.RemovePending(cost);
  return std::exchange(desk.reading, nullptr) != nullptr;
}

inline bool TcpServer::ServeOne(Connection& connection, Desk& desk, bool again) {
  if (!desk.scratch.data) desk.scratch = NewBuffer(RecordReader::kScratchBytes);
  std::string why;
  RecordReader& reader = connection.reader();
  auto status = reader.Read(connection.stream(), options_.record_bytes_max, pool_,
                            desk.scratch.data.get(), desk.record, why);
  if (status != RecordReader::Status::kRecord) desk.SendHeld(connection);
  connection.FlushTls();
  switch (status) {
    case RecordReader::Status::kRecord:
      if (again) connection.NoteInARow(true);
      if (!connection.admitted()) {
        // Whoever is turned away may leave with an answer that was held back.
        desk.SendHeld(connection);
        if (connection.listener_id() == kNoListener) return TakeOurReply(connection, desk);
        if (!Enter(connection, desk)) return false;
      }
      return Run(connection, desk);
    case RecordReader::Status::kAgain:
      if (again) connection.NoteInARow(false);
      connection.NoteReading(connection.InRecord());
      connection.Rearm();
      return false;
    case RecordReader::Status::kClosed:
      EndReading(connection);
      return false;
    case RecordReader::Status::kBad:
      Drop(connection, desk, why);
      return false;
  }
  return false;
}

// The server opened the connection, to call its peer: it takes no calls there, since nobody asked
// who the peer is.
bool TcpServer::TakeOurReply(Connection& connection, Desk& desk) {
  bool taken = connection.TakeReply(desk.record.bytes);
  pool_.Give(std::move(desk.record.large));
  connection.NoteRecord();
  connection.NoteReading(connection.InRecord());
  if (!taken) Drop(connection, desk, "what it sent answers no call that was made to it");
  return taken;
}

void TcpServer::Serve(Connection& connection, Desk& desk) {
  desk.held.clear();  // nothing of one connection ever goes to another
  connection.TakeToken();
  // Once it is armed again another worker may end it.
  std::shared_ptr<Connection> alive = connection.shared_from_this();
  if (connection.phase() != Connection::Phase::kOpen && !Prepare(connection, desk)) return;
  for (int records = 0; records < kRecordsPerTurn; ++records) {
    if (!ServeOne(connection, desk, records > 0)) return;
    bool more = connection.HasMore();
    if (more) connection.NoteInARow(true);
    if (!connection.MayReadOn() || (!more && !connection.in_a_row())) break;
  }
  desk.SendHeld(connection);
  connection.Rearm();
}

}  // namespace tarn::rpc
