#include "server/nfs4/ops/back_channel.h"

#include <arpa/inet.h>

#include <charconv>
#include <cstring>

#include "server/rpc/call_channel.h"

namespace tarn::nfs4::ops {
namespace {

std::vector<std::byte> Flat(const rpc::authsys_parms& parms) {
  xdr::Encoder to;
  Encode(to, parms);
  return to.Flatten();
}

// Takes ".N" off the end of `text`.
bool TakeOctet(std::string_view& text, uint32_t& octet) {
  size_t dot = text.rfind('.');
  if (dot == std::string_view::npos) return false;
  std::string_view digits = text.substr(dot + 1);
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), octet);
  if (error != std::errc() || end != digits.data() + digits.size() || octet > 255) return false;
  text = text.substr(0, dot);
  return true;
}

// IPv4 as IPv4-mapped IPv6.
bool ToBytes(const std::string& text, in6_addr& address) {
  if (inet_pton(AF_INET6, text.c_str(), &address) == 1) return true;
  return inet_pton(AF_INET6, ("::ffff:" + text).c_str(), &address) == 1;
}

bool SameHost(const std::string& a, const std::string& b) {
  in6_addr first{};
  in6_addr second{};
  return ToBytes(a, first) && ToBytes(b, second) &&
         std::memcmp(&first, &second, sizeof(first)) == 0;
}

}  // namespace

bool ChooseSecurity(const std::vector<callback_sec_parms4>& offered, CallbackProgram& program) {
  for (const callback_sec_parms4& one : offered) {
    auto flavor = static_cast<rpc::auth_flavor>(one.cb_secflavor);
    if (flavor == rpc::AUTH_NONE) {
      program.flavor = rpc::AUTH_NONE;
      program.credential.clear();
      return true;
    }
    if (flavor != rpc::AUTH_SYS) continue;
    const auto& sys = one.cbsp_sys_cred;
    if (sys.gids.size() > rpc::AUTH_SYS_GIDS_MAX) continue;
    program.flavor = rpc::AUTH_SYS;
    program.credential = Flat({.stamp = sys.stamp,
                               .machinename = sys.machinename,
                               .uid = sys.uid,
                               .gid = sys.gid,
                               .gids = sys.gids});
    return true;
  }
  return offered.empty();
}

bool MayBeCalled(const Compound& c) {
  return c.minor >= 1 || c.call.peer.security == nullptr;
}

CallbackAddress AddressOf(Compound& c, const cb_client4& callback, uint32_t ident) {
  const clientaddr4& at = callback.cb_location;
  std::string_view text = at.na_r_addr;
  uint32_t low = 0;
  uint32_t high = 0;
  bool tcp = at.na_r_netid == "tcp" || at.na_r_netid == "tcp6";
  bool good = MayBeCalled(c) && c.call.origin != nullptr && tcp && TakeOctet(text, low) &&
              TakeOctet(text, high) && (high << 8 | low) != 0 &&
              SameHost(std::string(text), c.call.peer.address);
  if (!good) return {};
  CallbackProgram program{
      .number = callback.cb_program, .flavor = rpc::AUTH_NONE, .credential = {}};
  // As the client came itself (RFC 7530 section 3.3.3).
  if (c.call.credential.flavor == rpc::AUTH_SYS) {
    program.flavor = rpc::AUTH_SYS;
    program.credential = Flat({.stamp = 0, .machinename = "tarn", .uid = 0, .gid = 0, .gids = {}});
  }
  return {.dialer = c.call.origin->dialer(),
          .address = std::string(text),
          .port = static_cast<uint16_t>(high << 8 | low),
          .ident = ident,
          .program = std::move(program)};
}

void ProbePath(Compound& c, Client& client) {
  std::shared_ptr<const Export> root;
  if (c.RootExport(root) == NFS4_OK && root->delegations) client.callbacks->Ready();
}

}  // namespace tarn::nfs4::ops
