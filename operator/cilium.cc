#include "operator/cilium.h"

#include <spdlog/spdlog.h>

#include "operator/kube/text.h"

namespace tarn::op {
namespace {

using kube::Array;
using kube::Json;
using kube::Object;
using kube::Str;

const kube::ResourceType kCiliumNode{"cilium.io", "v2", "ciliumnodes", "CiliumNode", false};

}  // namespace

Cilium::Presence Cilium::Find() {
  std::lock_guard lock(mutex_);
  return FindLocked();
}

Cilium::Presence Cilium::FindLocked() {
  int64_t now = now_seconds_();
  if (now >= find_at_) {
    auto there = client_.GetDocument("/apis/cilium.io");
    bool known = there.ok() || there.code() == Code::kNotFound;
    if (known) presence_ = there.ok() ? Presence::kThere : Presence::kAbsent;
    find_at_ = now + (known ? kRecheckSeconds : kRetrySeconds);
  }
  return presence_;
}

Result<std::vector<std::string>> Cilium::NodeAddresses() {
  std::lock_guard lock(mutex_);
  const Presence presence = FindLocked();
  if (presence == Presence::kUnknown) {
    return Error(Code::kUnavailable, "the API server does not say whether Cilium is there");
  }
  if (presence == Presence::kAbsent) return std::vector<std::string>();
  int64_t now = now_seconds_();
  if (read_ && now < read_at_) return addresses_;
  read_at_ = now + kNodesSeconds;
  std::vector<std::string> addresses;
  auto read = client_.Each(kCiliumNode, {}, [&](const Json& node) -> Result<void> {
    for (const Json& address : Array(Object(node, "spec"), "addresses")) {
      addresses.push_back(Str(address, "ip"));
    }
    return Ok();
  });
  if (read.ok()) {
    addresses_ = std::move(addresses);
    read_ = true;
  } else if (!read_) {
    return Error(read.code(), "addresses of Cilium's nodes: " + read.error().message());
  } else {
    spdlog::warn("addresses of Cilium's nodes are as they were: {}", read.error().message());
  }
  return addresses_;
}

}  // namespace tarn::op
