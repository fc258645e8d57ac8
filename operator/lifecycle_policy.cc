#include "operator/lifecycle_policy.h"

#include <algorithm>

#include "operator/references.h"

namespace tarn::op {
namespace {

using kube::Object;
using kube::Str;

std::string Rank(const Json& policy) {
  return Str(Object(policy, "metadata"), "creationTimestamp") + " " + kube::NameOf(policy).Key();
}

LifecycleRules RulesOf(const Json& policy) {
  const Json& spec = Object(policy, "spec");
  return {Str(spec, "transitionToIA"), Str(spec, "transitionToArchive"),
          Str(spec, "transitionToPrimaryStorageClass")};
}

}  // namespace

std::vector<Json> LifecyclePolicyReconciler::PoliciesOf(const Json& fs) {
  ObjectName name = kube::NameOf(fs);
  std::string id = FileSystemIdOf(fs);
  auto out = context_.lifecycle_policies.Where([&](const Json& p) {
    return RefersTo(p, name, id) && Allows(fs, kube::NameOf(p).ns) && !IsDeleting(p);
  });
  std::sort(out.begin(), out.end(), [](const Json& a, const Json& b) { return Rank(a) < Rank(b); });
  return out;
}

Result<Outcome> LifecyclePolicyReconciler::Reconcile(const ObjectName& name) {
  auto policy = context_.lifecycle_policies.Find(name);
  if (!policy) return Outcome{};
  if (IsDeleting(*policy)) return Delete(*policy);
  TRY(SetFinalizer(context_.client, kLifecyclePolicy, *policy, true));
  StatusDraft status(context_, kLifecyclePolicy, *policy);
  auto outcome = Serve(*policy, status);
  if (!outcome.ok()) status.Failed(outcome.error());
  auto written = status.Write();
  if (outcome.ok() && !written.ok()) return written.error();
  return outcome;
}

Result<Outcome> LifecyclePolicyReconciler::Serve(const Json& policy, StatusDraft& status) {
  auto found = ResolveFileSystem(context_, policy);
  if (!found.ok()) {
    status.Failed(found.error());
    return Outcome{};  // a FileSystem's change brings us back
  }
  const Json& fs = *found;
  status["fileSystemId"] = FileSystemIdOf(fs);
  auto all = PoliciesOf(fs);
  if (!all.empty() && UidOf(all.front()) != UidOf(policy)) {
    return Error(Code::kAlreadyExists, "LifecyclePolicy " + kube::NameOf(all.front()).Key() +
                                           " is the one of " + FileSystemIdOf(fs) +
                                           "; delete one of the two");
  }
  auto address = ReadyAddress(fs);
  if (!address.ok()) {
    status.Waiting("FileSystemNotReady", address.error().message());
    return Outcome{};  // the FileSystem's change brings us back
  }
  TRY(context_.control.PutLifecycle(*address, FileSystemIdOf(fs), RulesOf(policy)));
  status.Ready("Applied", "the file system follows it");
  return Outcome{kRefresh};
}

Result<Outcome> LifecyclePolicyReconciler::Delete(const Json& policy) {
  if (!HasFinalizer(policy)) return Outcome{};
  auto fs = ResolveFileSystem(context_, policy);
  // A file system that is going takes its configuration along; so does one that is gone.
  if (fs.ok() && !IsDeleting(*fs)) {
    auto left = PoliciesOf(*fs);
    LifecycleRules rules = left.empty() ? LifecycleRules{} : RulesOf(left.front());
    auto address = ControlAddress(*fs);
    // Without an address it was never told of any policy.
    if (address.ok()) {
      auto put = context_.control.PutLifecycle(*address, FileSystemIdOf(*fs), rules);
      if (!put.ok() && put.code() != Code::kNotFound) {
        StatusDraft status(context_, kLifecyclePolicy, policy);
        status.Failed(put.error());
        (void)status.Write().ok();
        return put.error();
      }
    }
  }
  TRY(SetFinalizer(context_.client, kLifecyclePolicy, policy, false));
  return Outcome{};
}

}  // namespace tarn::op
