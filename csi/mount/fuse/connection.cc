#include "csi/mount/fuse/connection.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <random>

#include "common/log.h"
#include "csi/mount/fuse/socket.h"

namespace tarn::fuse {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr size_t kRecordBytesMax = 4U << 20;
constexpr milliseconds kPatience{500};  // a killed caller is looked for after this long
constexpr milliseconds kSlice{200};     // and then this often
constexpr milliseconds kBackoffMin{20};
constexpr milliseconds kBackoffMax{2000};

void Put(std::vector<char>& out, uint32_t value) {
  value = htonl(value);
  const char* raw = reinterpret_cast<const char*>(&value);
  out.insert(out.end(), raw, raw + 4);
}

// Record marker and call header of an NFS 4 COMPOUND (RFC 5531 section 9).
std::vector<char> Header(uint32_t xid, const Credential& who, size_t body) {
  std::vector<char> out;
  out.reserve(160);
  size_t groups = std::min(who.groups.size(), Credential::kGroupsMax);
  for (uint32_t word : {0U, xid, 0U, 2U, 100003U, 4U, 1U, 1U}) Put(out, word);
  Put(out, static_cast<uint32_t>(4 + 8 + 4 + 4 + 4 + 4 * groups));
  Put(out, 0);  // stamp
  Put(out, 4);
  for (char c : {'t', 'a', 'r', 'n'}) out.push_back(c);
  Put(out, who.uid);
  Put(out, who.gid);
  Put(out, static_cast<uint32_t>(groups));
  for (size_t i = 0; i < groups; ++i) Put(out, who.groups[i]);
  Put(out, 0);  // no verifier
  Put(out, 0);
  uint32_t marker = htonl(0x80000000U | static_cast<uint32_t>(out.size() - 4 + body));
  std::memcpy(out.data(), &marker, 4);
  return out;
}

}  // namespace

struct Connection::Pending {
  uint32_t xid = 0;
  std::vector<char> header;
  std::vector<iovec> pieces;
  std::condition_variable wake;
  uint64_t sent = 0;  // the generation that it was last sent over; 0: never
  bool again = false;
  bool done = false;
  std::unique_ptr<char[]> record;
  std::span<const char> body;
  Status failure = NFS4_OK;
};

Connection::~Connection() {
  Stop();
}

void Connection::Stop() {
  Lock lock(mutex_);
  stopped_ = true;
  if (socket_) socket_->Shutdown();
  connected_.notify_all();
  for (auto& [xid, call] : pending_) call->wake.notify_all();
}

Results Connection::Call(const Caller& caller, const Compound& request) {
  Pending call;
  Lock lock(mutex_);
  if (stopped_) return Results(kStopped);
  if (next_xid_ == 0) next_xid_ = std::random_device()();
  call.xid = next_xid_++;
  call.header = Header(call.xid, caller.credential, request.size());
  call.pieces.push_back({call.header.data(), call.header.size()});
  request.Gather(call.pieces);
  pending_[call.xid] = &call;
  outstanding_.fetch_add(1, std::memory_order_relaxed);
  Results results = Wait(lock, call, caller);
  pending_.erase(call.xid);
  outstanding_.fetch_sub(1, std::memory_order_relaxed);
  if (!reading_) PromoteReader(&call);
  return results;
}

Results Connection::Wait(Lock& lock, Pending& call, const Caller& caller) {
  auto started = steady_clock::now();
  while (!call.done) {
    if (stopped_) return Results(kStopped);
    if (steady_clock::now() - started > kPatience && caller.Killed()) return Results(kInterrupted);
    if (!socket_) {
      if (connecting_) {
        connected_.wait_for(lock, kSlice);
      } else {
        Connect(lock);
      }
    } else if (call.sent != generation_) {
      Send(lock, call);
    } else if (!reading_) {
      ReadOne(lock);
    } else {
      call.wake.wait_for(lock, kSlice);
    }
  }
  if (call.failure != NFS4_OK) return Results(call.failure);
  Results results(std::move(call.record), call.body);
  results.retransmitted = call.again;
  return results;
}

bool Connection::Send(Lock& lock, Pending& call) {
  call.again = call.sent != 0;
  call.sent = generation_;
  auto socket = socket_;
  lock.unlock();
  bool sent = false;
  {
    std::lock_guard order(send_mutex_);
    sent = socket->Send(call.pieces);
  }
  lock.lock();
  if (!sent) Drop(call.sent);
  return sent;
}

// Lets go of the connection of that generation; every call over it will be sent again.
void Connection::Drop(uint64_t generation) {
  if (!socket_ || generation != generation_) return;
  socket_->Shutdown();
  socket_.reset();
  for (auto& [xid, call] : pending_) call->wake.notify_all();
}

void Connection::Connect(Lock& lock) {
  connecting_ = true;
  if (failures_ > 0) {
    auto pause = std::min(kBackoffMax, kBackoffMin * (1 << std::min(failures_ - 1, 8)));
    connected_.wait_for(lock, std::min(pause, kPatience));
  }
  lock.unlock();
  std::string why;
  auto socket = Socket::Open(server_, why);
  if (socket && generation_ > 0 && reconnected_) reconnected_();
  lock.lock();
  connecting_ = false;
  if (socket) {
    if (failures_ > 0) spdlog::info("connected to {}:{} again", server_.host, server_.port);
    failures_ = 0;
    ++generation_;
    socket_ = std::move(socket);
  } else if (failures_++ == 0) {
    spdlog::warn("no connection to {}:{}: {}; trying for ever", server_.host, server_.port, why);
  }
  connected_.notify_all();
}

std::string Connection::Probe() {
  std::string why;
  return Socket::Open(server_, why) ? std::string() : why;
}

void Connection::PromoteReader(const Pending* except) {
  for (auto& [xid, call] : pending_) {
    if (call != except && !call->done) {
      call->wake.notify_all();
      return;
    }
  }
}

// Reads until one record is whole or a slice of time is over.
void Connection::ReadOne(Lock& lock) {
  reading_ = true;
  auto socket = socket_;
  uint64_t generation = generation_;
  lock.unlock();
  if (socket->fresh.exchange(false)) {
    input_at_ = input_end_ = marker_got_ = record_size_ = record_got_ = 0;
    record_.reset();
  }
  std::unique_ptr<char[]> record;
  size_t size = 0;
  bool broken = false;
  bool whole = FillRecord(socket->fd(), record, size, broken);
  lock.lock();
  reading_ = false;
  if (whole) Dispatch(std::move(record), size);
  if (broken) Drop(generation);
}

bool Connection::Take(int fd, char* to, size_t want, size_t& got, bool& broken) {
  while (got < want) {
    if (input_at_ < input_end_) {
      size_t size = std::min(input_end_ - input_at_, want - got);
      std::memcpy(to + got, input_.get() + input_at_, size);
      input_at_ += size;
      got += size;
      continue;
    }
    bool direct = want - got >= kInputBytes;
    ssize_t size =
        direct ? recv(fd, to + got, want - got, 0) : recv(fd, input_.get(), kInputBytes, 0);
    if (size <= 0) {
      broken = size == 0 || (errno != EAGAIN && errno != EINTR);
      return false;
    }
    if (direct) {
      got += static_cast<size_t>(size);
    } else {
      input_at_ = 0;
      input_end_ = static_cast<size_t>(size);
    }
  }
  return true;
}

bool Connection::FillRecord(int fd, std::unique_ptr<char[]>& record, size_t& size, bool& broken) {
  if (!input_) input_ = std::make_unique_for_overwrite<char[]>(kInputBytes);
  for (;;) {
    if (marker_got_ < 4) {
      if (!Take(fd, marker_, 4, marker_got_, broken)) return false;
      uint32_t marker = 0;
      std::memcpy(&marker, marker_, 4);
      marker = ntohl(marker);
      size_t whole = record_size_ + (marker & 0x7fffffff);
      last_fragment_ = (marker & 0x80000000U) != 0;
      if (whole > kRecordBytesMax) return broken = true, false;
      auto grown = std::make_unique_for_overwrite<char[]>(whole);
      if (record_size_ != 0) std::memcpy(grown.get(), record_.get(), record_size_);
      record_ = std::move(grown);
      record_size_ = whole;
    }
    if (!Take(fd, record_.get(), record_size_, record_got_, broken)) return false;
    marker_got_ = 0;
    if (!last_fragment_) continue;
    record = std::move(record_);
    size = record_size_;
    record_size_ = record_got_ = 0;
    return true;
  }
}

// Finds whose reply this is; replies to calls that were given up are dropped.
void Connection::Dispatch(std::unique_ptr<char[]> record, size_t size) {
  auto word = [&](size_t index) {
    uint32_t value = 0;
    if (size < 4 * (index + 1)) return UINT32_MAX;
    std::memcpy(&value, record.get() + 4 * index, 4);
    return ntohl(value);
  };
  auto found = pending_.find(word(0));
  if (found == pending_.end() || word(1) != 1) return;
  Pending& call = *found->second;
  size_t verifier = (size_t{word(4)} + 3) & ~size_t{3};
  size_t stat = 5 + verifier / 4;
  if (word(2) != 0 || verifier > 400 || word(stat) != 0) {
    // Denied, or no such program: what an RPC server says that is not NFS 4, or is starting up.
    call.failure = word(2) == 1 ? NFS4ERR_ACCESS : kMalformed;
  } else {
    call.body = {record.get() + 4 * (stat + 1), size - 4 * (stat + 1)};
    call.record = std::move(record);
  }
  call.done = true;
  call.wake.notify_all();
}

}  // namespace tarn::fuse
