// The new process's side.
#include "common/log.h"
#include "tunnel/handover.h"

namespace tarn::tunnel {
namespace {

Error Unexpected() {
  return Error(Code::kProtocol, "hand-over: a packet out of turn");
}

}  // namespace

Result<TakenOver> TakeListeners(HandOverChannel& channel) {
  handover::Packet hello;
  hello.mutable_hello()->set_version_min(kHandOverVersionMin);
  hello.mutable_hello()->set_version_max(kHandOverVersionMax);
  TRY(channel.Send(hello));
  TakenOver taken;
  TRY(auto welcome, channel.Receive());
  if (!welcome.packet.has_welcome() || !welcome.fd.open()) return Unexpected();
  taken.lock = std::move(welcome.fd);
  while (true) {
    TRY(auto next, channel.Receive());
    if (next.packet.has_listeners_end()) return taken;
    if (!next.packet.has_listener() || !next.fd.open()) return Unexpected();
    if (taken.listeners.size() == kMountsMax) return Unexpected();
    taken.listeners[next.packet.listener().mount_id()] = std::move(next.fd);
  }
}

Result<void> TakeConnections(HandOverChannel& channel, const Mounts& mounts, Carrier& carrier) {
  handover::Packet ready;
  ready.mutable_ready();
  TRY(channel.Send(ready));
  size_t count = 0;
  while (true) {
    auto next = channel.Receive();
    // It died: everything is ours all the same, the connections that it still had are not.
    if (!next.ok() && next.code() == Code::kUnavailable) {
      spdlog::warn("{}; {} connections came over", next.error().message(), count);
      return Ok();
    }
    if (!next.ok()) return next.error();
    if (next->packet.has_done()) break;
    if (!next->packet.has_connection() || !next->fd.open()) return Unexpected();
    const std::string& held = next->packet.connection().held();
    auto mount = mounts.Find(next->packet.connection().mount_id());
    if (!mount) continue;
    const auto* bytes = reinterpret_cast<const std::byte*>(held.data());
    carrier.Adopt(std::move(mount), std::move(next->fd), Bytes(bytes, bytes + held.size()));
    ++count;
  }
  handover::Packet packet;
  packet.mutable_taken();
  (void)channel.Send(packet);
  spdlog::info("took {} connections over", count);
  return Ok();
}

}  // namespace tarn::tunnel
