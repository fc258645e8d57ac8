#include "tunnel/peer_owner.h"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>

#include "tunnel/loop.h"

namespace tarn::tunnel {
namespace {

// As the peer sees it: `from` is its own address.
struct Ends {
  sockaddr_in from{}, to{};
};

bool Find(int accepted, Ends& ends) {
  socklen_t bytes = sizeof ends.from;
  if (getpeername(accepted, reinterpret_cast<sockaddr*>(&ends.from), &bytes) != 0) return false;
  bytes = sizeof ends.to;
  if (getsockname(accepted, reinterpret_cast<sockaddr*>(&ends.to), &bytes) != 0) return false;
  return ends.from.sin_family == AF_INET && ends.to.sin_family == AF_INET;
}

// An orphan of a process that closed it counts as root's: only a connected one tells anything.
std::optional<uid_t> OwnerIf(unsigned state, uid_t owner) {
  return state == TCP_ESTABLISHED ? std::optional(owner) : std::nullopt;
}

enum class Asked { kAnswered, kUnknown };

// By netlink (sock_diag(7)): one socket, however many there are. kUnknown: it is not there, or the
// kernel cannot tell by this way.
Asked AskKernel(const Ends& ends, std::optional<uid_t>& owner) {
  struct {
    nlmsghdr head;
    inet_diag_req_v2 body;
  } request{};
  request.head.nlmsg_len = sizeof request;
  request.head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request.head.nlmsg_flags = NLM_F_REQUEST;
  request.body.sdiag_family = AF_INET;
  request.body.sdiag_protocol = IPPROTO_TCP;
  request.body.idiag_states = ~0u;
  request.body.id.idiag_sport = ends.from.sin_port;
  request.body.id.idiag_dport = ends.to.sin_port;
  request.body.id.idiag_src[0] = ends.from.sin_addr.s_addr;
  request.body.id.idiag_dst[0] = ends.to.sin_addr.s_addr;
  request.body.id.idiag_cookie[0] = request.body.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
  Fd fd(socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!fd.open() || send(fd.get(), &request, sizeof request, 0) < 0) return Asked::kUnknown;
  alignas(nlmsghdr) char answer[4096];
  ssize_t got = recv(fd.get(), answer, sizeof answer, MSG_DONTWAIT);
  nlmsghdr head{};
  inet_diag_msg body{};
  if (got < static_cast<ssize_t>(NLMSG_LENGTH(sizeof body))) return Asked::kUnknown;
  std::memcpy(&head, answer, sizeof head);
  if (head.nlmsg_type != SOCK_DIAG_BY_FAMILY) return Asked::kUnknown;
  std::memcpy(&body, answer + NLMSG_HDRLEN, sizeof body);
  owner = OwnerIf(body.idiag_state, body.idiag_uid);
  return Asked::kAnswered;
}

std::optional<uid_t> ReadTable(const Ends& ends) {
  std::ifstream table("/proc/self/net/tcp");
  std::string line;
  while (std::getline(table, line)) {
    uint32_t from = 0, to = 0, from_port = 0, to_port = 0, state = 0, owner = 0;
    // sl, both ends in hex (addresses as they lie in memory), st, two queues, tr, retrnsmt, uid
    int fields = std::sscanf(line.c_str(),
                             " %*d: %" SCNx32 ":%" SCNx32 " %" SCNx32 ":%" SCNx32 " %" SCNx32
                             " %*x:%*x %*x:%*x %*x %" SCNu32,
                             &from, &from_port, &to, &to_port, &state, &owner);
    if (fields == 6 && from == ends.from.sin_addr.s_addr && to == ends.to.sin_addr.s_addr &&
        from_port == ntohs(ends.from.sin_port) && to_port == ntohs(ends.to.sin_port)) {
      return OwnerIf(state, owner);
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<uid_t> OwnerOfPeer(int accepted) {
  Ends ends;
  if (!Find(accepted, ends)) return std::nullopt;
  std::optional<uid_t> owner;
  if (AskKernel(ends, owner) == Asked::kAnswered) return owner;
  return ReadTable(ends);
}

}  // namespace tarn::tunnel
