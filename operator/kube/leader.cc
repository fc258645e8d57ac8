#include "operator/kube/leader.h"

#include <spdlog/spdlog.h>

#include <condition_variable>
#include <mutex>

#include "operator/kube/text.h"

namespace tarn::kube {
namespace {

const ResourceType kLease{"coordination.k8s.io", "v1", "leases", "Lease", true};

std::string Now() {
  auto now = std::chrono::system_clock::now().time_since_epoch();
  return Rfc3339Micro(std::chrono::duration_cast<std::chrono::microseconds>(now).count());
}

}  // namespace

bool LeaderElection::Pause(std::stop_token stop, std::chrono::milliseconds time) {
  std::mutex mu;
  std::unique_lock lock(mu);
  std::condition_variable_any never;
  never.wait_for(lock, stop, time, [] { return false; });
  return !stop.stop_requested();
}

Result<void> LeaderElection::Write(Json lease, bool ours) {
  Json& spec = lease["spec"];
  if (!ours) {
    spec["leaseTransitions"] =
        Int(spec, "leaseTransitions") + (lease["metadata"].contains("uid") ? 1 : 0);
    spec["acquireTime"] = Now();
  }
  spec["holderIdentity"] = options_.identity;
  spec["leaseDurationSeconds"] = std::max<int64_t>(1, options_.lease_duration.count() / 1000);
  spec["renewTime"] = Now();
  auto written = lease["metadata"].contains("uid") ? client_.Update(kLease, lease)
                                                   : client_.Create(kLease, lease);
  if (!written.ok()) return written.error();
  seen_ = Object(*written, "spec").dump();
  seen_at_ = Clock::now();
  return Ok();
}

Result<void> LeaderElection::TryOnce() {
  auto lease = client_.Get(kLease, options_.lease);
  if (lease.code() == Code::kNotFound) {
    return Write({{"apiVersion", kLease.ApiVersion()},
                  {"kind", kLease.kind},
                  {"metadata", {{"namespace", options_.lease.ns}, {"name", options_.lease.name}}},
                  {"spec", Json::object()}},
                 false);
  }
  if (!lease.ok()) return lease.error();
  const Json& spec = Object(*lease, "spec");
  std::string holder = Str(spec, "holderIdentity");
  if (holder == options_.identity) return Write(std::move(*lease), true);
  if (std::string record = spec.dump(); record != seen_) {
    seen_ = record;
    seen_at_ = Clock::now();
  }
  // The holder's own duration counts, not ours: it may run with other settings.
  auto duration = std::chrono::seconds(Int(spec, "leaseDurationSeconds", 15));
  if (!holder.empty() && Clock::now() - seen_at_ < duration) {
    return Error(Code::kInUse, "lease " + options_.lease.Key() + " is held by " + holder);
  }
  return Write(std::move(*lease), false);
}

bool LeaderElection::Acquire(std::stop_token stop) {
  std::string told;
  while (!stop.stop_requested()) {
    auto got = TryOnce();
    if (got.ok()) {
      spdlog::info("leading as {}", options_.identity);
      return true;
    }
    if (std::string why = got.error().message(); why != told)
      spdlog::info("not leading: {}", told = why);
    if (!Pause(stop, options_.retry_period)) return false;
  }
  return false;
}

void LeaderElection::Release() {
  auto lease = client_.Get(kLease, options_.lease);
  if (!lease.ok() || Str(Object(*lease, "spec"), "holderIdentity") != options_.identity) return;
  (*lease)["spec"]["holderIdentity"] = "";
  (*lease)["spec"]["leaseDurationSeconds"] = 1;
  (void)client_.Update(kLease, *lease).ok();
}

void LeaderElection::Hold(std::stop_token stop,
                          const std::function<void(const std::string&)>& on_lost) {
  auto renewed = Clock::now();
  while (Pause(stop, options_.retry_period)) {
    auto start = Clock::now();
    auto got = TryOnce();
    if (got.ok()) {
      renewed = start;
      continue;
    }
    spdlog::warn("renewing the lease: {}", got.error().ToString());
    if (got.code() == Code::kInUse || Clock::now() - renewed >= options_.renew_deadline) {
      return on_lost(got.error().message());
    }
  }
  Release();
}

}  // namespace tarn::kube
