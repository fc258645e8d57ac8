// For tests: an RPC client that says exactly what it is told, right or wrong, and a program to
// call.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <optional>
#include <set>

#include "server/rpc/server.h"

namespace tarn::rpc::testing {

inline constexpr uint32_t kNumber = 100'003;
inline constexpr uint32_t kVersion = 4;
using Bytes = std::vector<std::byte>;

// Procedures of TestProgram.
inline constexpr uint32_t kNull = 0;
inline constexpr uint32_t kEcho = 1;     // opaque -> the same
inline constexpr uint32_t kBlock = 2;    // waits until Release
inline constexpr uint32_t kBig = 3;      // size -> opaque of that size
inline constexpr uint32_t kGarbage = 4;  // puts something, then says GARBAGE_ARGS
inline constexpr uint32_t kBroken = 5;   // SYSTEM_ERR
inline constexpr uint32_t kWho = 6;      // -> flavor, uid, gid, count of gids, listener's tag

// Every test runs with a program that tells when its calls wait, and with one that does not.
class BothWays : public ::testing::TestWithParam<bool> {
 protected:
  BothWays() { tells_waits = GetParam(); }

 public:
  static inline bool tells_waits = false;
};

class TestProgram : public Program {
 public:
  bool TellsWaits() const override { return tells_waits_; }
  uint32_t number() const override { return kNumber; }
  version_range versions() const override { return {.low = kVersion, .high = kVersion}; }
  accept_stat Handle(const Call& call, xdr::Decoder& arguments, xdr::Encoder& results) override;
  void ConnectionClosed(ConnectionId id) override;

  void Release();
  void WaitBlocked(int calls);
  void WaitClosed(size_t connections);

 private:
  const bool tells_waits_ = BothWays::tells_waits;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool released_ = false;
  int blocked_ = 0;
  std::set<ConnectionId> closed_;
};

inline accept_stat TestProgram::Handle(const Call& call, xdr::Decoder& arguments,
                                       xdr::Encoder& results) {
  xdr::Opaque text;
  uint32_t size = 0;
  switch (call.procedure) {
    case kNull:
      return SUCCESS;
    case kEcho:
      if (!arguments.GetOpaque(text, UINT32_MAX)) return GARBAGE_ARGS;
      results.PutOpaque(text);
      return SUCCESS;
    case kBlock: {
      call.AboutToWait();
      std::unique_lock lock(mutex_);
      ++blocked_;
      changed_.notify_all();
      changed_.wait(lock, [this] { return released_; });
      return SUCCESS;
    }
    case kBig: {
      if (!arguments.Get(size)) return GARBAGE_ARGS;
      auto memory = std::make_unique<std::byte[]>(size);
      results.PutOpaque({memory.get(), size});
      results.Hold(std::move(memory));
      return SUCCESS;
    }
    case kGarbage:
      results.Put(uint64_t{42});
      return GARBAGE_ARGS;
    case kBroken:
      return SYSTEM_ERR;
    case kWho:
      Encode(results, call.credential.flavor);
      results.Put(call.credential.uid);
      results.Put(call.credential.gid);
      results.Put(static_cast<uint32_t>(call.credential.gids.size()));
      results.Put(call.peer.listener);
      return SUCCESS;
    default:
      return PROC_UNAVAIL;
  }
}

inline void TestProgram::ConnectionClosed(ConnectionId id) {
  std::lock_guard lock(mutex_);
  EXPECT_TRUE(closed_.insert(id).second) << "closed twice";
  changed_.notify_all();
}

inline void TestProgram::Release() {
  std::lock_guard lock(mutex_);
  released_ = true;
  changed_.notify_all();
}

inline void TestProgram::WaitBlocked(int calls) {
  std::unique_lock lock(mutex_);
  ASSERT_TRUE(changed_.wait_for(lock, std::chrono::seconds(20), [&] { return blocked_ >= calls; }));
}

inline void TestProgram::WaitClosed(size_t connections) {
  std::unique_lock lock(mutex_);
  ASSERT_TRUE(changed_.wait_for(lock, std::chrono::seconds(20),
                                [&] { return closed_.size() >= connections; }));
}

struct CallShape {
  uint32_t xid = 1;
  uint32_t type = 0;
  uint32_t rpc_version = 2;
  uint32_t program = kNumber;
  uint32_t version = kVersion;
  uint32_t procedure = kNull;
  opaque_auth credential{};
  opaque_auth verifier{};
};

inline Bytes CallBytes(const CallShape& shape, const std::optional<xdr::Opaque>& argument = {}) {
  xdr::Encoder to;
  to.Put(shape.xid);
  to.Put(shape.type);
  to.Put(shape.rpc_version);
  to.Put(shape.program);
  to.Put(shape.version);
  to.Put(shape.procedure);
  Encode(to, shape.credential);
  Encode(to, shape.verifier);
  if (argument) to.PutOpaque(*argument);
  return to.Flatten();
}

inline void PutMark(Bytes& to, uint32_t mark) {
  for (int shift = 24; shift >= 0; shift -= 8) {
    to.push_back(static_cast<std::byte>(mark >> shift));
  }
}

// `record` with its mark, in fragments of at most `fragment` bytes.
inline Bytes Marked(const Bytes& record, size_t fragment = SIZE_MAX) {
  Bytes out;
  size_t at = 0;
  do {
    size_t size = std::min(fragment, record.size() - at);
    bool last = at + size == record.size();
    PutMark(out, static_cast<uint32_t>(size) | (last ? 0x80000000U : 0));
    out.insert(out.end(), record.begin() + static_cast<ptrdiff_t>(at),
               record.begin() + static_cast<ptrdiff_t>(at + size));
    at += size;
  } while (at < record.size());
  return out;
}

// A blocking socket to 127.0.0.1; reads give up after 20 s.
class RawClient {
 public:
  explicit RawClient(uint16_t port, int receive_buffer = 0, in_addr_t from = INADDR_ANY) {
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    timeval limit{.tv_sec = 20, .tv_usec = 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    if (receive_buffer > 0) {
      setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
    }
    sockaddr_in own{
        .sin_family = AF_INET, .sin_port = 0, .sin_addr = {.s_addr = htonl(from)}, .sin_zero = {}};
    sockaddr_in to{.sin_family = AF_INET,
                   .sin_port = htons(port),
                   .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)},
                   .sin_zero = {}};
    connected_ = bind(fd_, reinterpret_cast<sockaddr*>(&own), sizeof(own)) == 0 &&
                 connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof(to)) == 0;
  }
  struct Adopt {
    int fd;
  };
  explicit RawClient(Adopt connected) : fd_(connected.fd), connected_(true) {}
  virtual ~RawClient() { close(fd_); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool connected() const { return connected_; }
  int fd() const { return fd_; }

  virtual bool Send(const Bytes& bytes) {
    for (size_t at = 0; at < bytes.size();) {
      ssize_t sent = send(fd_, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
      if (sent <= 0) return false;
      at += static_cast<size_t>(sent);
    }
    return true;
  }
  virtual bool Receive(std::byte* into, size_t bytes) {
    for (size_t at = 0; at < bytes;) {
      ssize_t got = recv(fd_, into + at, bytes - at, 0);
      if (got <= 0) return false;
      at += static_cast<size_t>(got);
    }
    return true;
  }
  // The next record, without its mark; empty when the connection ended.
  Bytes ReceiveRecord() {
    std::array<std::byte, 4> mark{};
    if (!Receive(mark.data(), mark.size())) return {};
    xdr::Decoder from(mark);
    uint32_t size = 0;
    EXPECT_TRUE(from.Get(size));
    EXPECT_NE(size & 0x80000000U, 0U) << "the server sends one fragment a record";
    Bytes record(size & 0x7fffffff);
    if (!Receive(record.data(), record.size())) return {};
    return record;
  }
  // The server closed the connection without a further byte.
  virtual bool AtEnd() {
    std::byte one{};
    return recv(fd_, &one, 1, 0) <= 0;
  }
  Bytes Call(const CallShape& shape, const std::optional<xdr::Opaque>& argument = {}) {
    if (!Send(Marked(CallBytes(shape, argument)))) return {};
    return ReceiveRecord();
  }
  bool Ping() { return !Call({}).empty(); }

 private:
  int fd_ = -1;
  bool connected_ = false;
};

// A decoded reply header; `rest` points into the record.
struct ReplyShape {
  bool ok = false;
  uint32_t xid = 0;
  reply_body body;
  xdr::Opaque rest;
};

inline ReplyShape Parse(const Bytes& record) {
  ReplyShape reply;
  xdr::Decoder from(record);
  msg_type type{};
  reply.ok = from.Get(reply.xid) && Decode(from, type) && type == REPLY && Decode(from, reply.body);
  reply.rest = from.rest();
  return reply;
}

// The server's answer to an ECHO of `text` is that text.
inline bool Echoes(RawClient& client, uint32_t xid, const Bytes& text) {
  Bytes record = client.Call({.xid = xid, .procedure = kEcho}, text);
  ReplyShape reply = Parse(record);
  xdr::Decoder from(reply.rest);
  xdr::Opaque back;
  return reply.ok && reply.xid == xid && from.GetOpaque(back, UINT32_MAX) &&
         std::ranges::equal(back, text);
}

// A server of TestProgram on a port of its own.
struct TestServer {
  explicit TestServer(ServerOptions options = {}, Guard guard = {}) {
    auto started = Server::Start(options, program, std::move(guard));
    EXPECT_TRUE(started.ok());
    server = std::move(*started);
    auto listener = server->Listen("127.0.0.1", 0, 77);
    EXPECT_TRUE(listener.ok());
    port = listener->port;
    listener_id = listener->id;
  }
  TestProgram program;
  std::unique_ptr<Server> server;
  uint16_t port = 0;
  uint64_t listener_id = 0;
};

}  // namespace tarn::rpc::testing
