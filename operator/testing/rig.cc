#include "operator/testing/rig.h"

#include <gtest/gtest.h>

#include <thread>

namespace tarn::op {

using kube::Array;
using kube::Object;
using kube::Str;
using namespace std::chrono_literals;

// Lets a number of requests through and then none.
class Rig::Cut : public kube::HttpTransport {
 public:
  Cut(kube::FakeCluster& cluster, std::atomic<int>& budget) : cluster_(cluster), budget_(budget) {}

  Result<void> Pass() {
    int left = budget_.load();
    while (left > 0 && !budget_.compare_exchange_weak(left, left - 1)) {
    }
    if (left == 0) return Error(Code::kUnavailable, "cut off");
    return Ok();
  }
  Result<kube::HttpResponse> Do(const kube::HttpRequest& request) override {
    // Lists fill the caches; only what a reconcile asks for counts.
    bool list = request.method == "GET" && request.target.find("?limit=") != std::string::npos;
    if (!list) TRY(Pass());
    return cluster_.Do(request);
  }
  Result<kube::HttpResponse> Stream(const kube::HttpRequest& request,
                                    const std::function<bool(std::string_view)>& on_bytes,
                                    std::stop_token stop) override {
    return cluster_.Stream(request, on_bytes, stop);
  }

 private:
  kube::FakeCluster& cluster_;
  std::atomic<int>& budget_;
};

namespace {

std::string PathOf(const kube::ResourceType& type, const std::string& ns) {
  std::string path = type.group.empty() ? "/api/" : "/apis/" + type.group + "/";
  path += type.version;
  if (type.namespaced) path += "/namespaces/" + ns;
  return path + "/" + type.plural;
}

}  // namespace

bool Eventually(const std::function<bool()>& check) {
  for (int i = 0; i < 2000; ++i) {
    if (check()) return true;
    std::this_thread::sleep_for(5ms);
  }
  return false;
}

Json SharedSpec() {
  return {{"throughputMode", "elastic"},
          {"performanceMode", "generalPurpose"},
          {"storage", {{"size", "10Gi"}}}};
}

Rig::Rig() {
  cluster.SetDocument("/.well-known/openid-configuration", {{"issuer", "https://cluster.test"}});
  cluster.SetDocument("/openid/v1/jwks", {{"keys", {{{"kty", "EC"}, {"kid", "one"}}}}});
  Create(kNode,
         {{"metadata", {{"name", "n1"}}},
          {"status", {{"addresses", {{{"type", "InternalIP"}, {"address", "192.168.1.1"}}}}}}});
  control.SetGate([this]() -> Result<void> {
    if (transport_) TRY(transport_->Pass());
    return Ok();
  });
}

Rig::~Rig() {
  Kill();
}

void Rig::Start(int requests) {
  budget_ = requests;
  transport_ = std::make_unique<Cut>(cluster, budget_);
  client_ = std::make_unique<kube::Client>(*transport_);
  operator_ = std::make_unique<Operator>(
      Settings{.ns = "tarn",
               .server_image = "tarn:1",
               .driver_name = "efs.csi.tarn.dev",
               .token_audience = "tarn.dev",
               .node_ranges = {},
               .network_policies = "auto"},
      *client_, control,
      [this] {
        auto now = std::chrono::system_clock::now().time_since_epoch();
        return std::chrono::duration_cast<std::chrono::seconds>(now).count() + clock_offset;
      },
      Operator::Tuning{5ms, 20ms, 50ms});
  operator_->Watch();
  operator_->WaitSynced(10s);
  operator_->Lead();
}

void Rig::Kill() {
  operator_.reset();
}

void Rig::Create(const kube::ResourceType& type, const Json& object) {
  Json made = object;
  Json& metadata = made["metadata"];
  if (type.namespaced && !metadata.contains("namespace")) metadata["namespace"] = "default";
  if (!metadata.contains("creationTimestamp"))
    metadata["creationTimestamp"] = "2026-01-01T00:00:00Z";
  made["apiVersion"] = type.ApiVersion();
  made["kind"] = type.kind;
  cluster.Put(PathOf(type, Str(metadata, "namespace")), made);
}

void Rig::Change(const kube::ResourceType& type, const Json& object) {
  std::string ns = Str(Object(object, "metadata"), "namespace");
  cluster.Put(PathOf(type, ns.empty() ? "default" : ns), object);
}

void Rig::Delete(const kube::ResourceType& type, const std::string& name, const std::string& ns) {
  cluster.Remove(PathOf(type, ns), name);
}

Json Rig::Get(const kube::ResourceType& type, const std::string& name, const std::string& ns) {
  return cluster.Find(PathOf(type, ns), name);
}

bool Rig::Gone(const kube::ResourceType& type, const std::string& name) {
  return Get(type, name).is_null();
}

void Rig::SetServing(const std::string& name, bool serving) {
  Eventually([&] { return !Gone(kStatefulSet, name); });
  Change(kStatefulSet, {{"metadata", {{"name", name}, {"namespace", "default"}}},
                        {"status", {{"readyReplicas", serving ? 1 : 0}}}});
}

std::string Rig::Condition(const kube::ResourceType& type, const std::string& name,
                           const std::string& condition, const std::string& field) {
  Json object = Get(type, name);
  for (const Json& c : Array(Object(object, "status"), "conditions")) {
    if (Str(c, "type") == condition) return Str(c, field);
  }
  return {};
}

Json Rig::RegistryEntry(const std::string& file_system_id) {
  Json map = Get(kConfigMap, kRegistryName, "tarn");
  auto entry = kube::ParseJson(Str(Object(map, "data"), file_system_id + ".json"));
  return entry.ok() ? *entry : Json();
}

void Rig::Touch(int64_t seconds) {
  clock_offset += seconds;
  Change(kFileSystem, {{"metadata",
                        {{"name", "shared"},
                         {"namespace", "default"},
                         {"annotations", {{"touched", std::to_string(++touches_)}}}}}});
}

std::string Rig::MakeShared(bool becomes_ready) {
  Create(kFileSystem, {{"metadata", {{"name", "shared"}}}, {"spec", SharedSpec()}});
  SetServing("shared");
  auto ready = [&] { return Condition(kFileSystem, "shared", "Ready") == "True"; };
  EXPECT_TRUE(!becomes_ready || Eventually(ready));
  return Str(Object(Get(kFileSystem, "shared"), "status"), "fileSystemId");
}

}  // namespace tarn::op
