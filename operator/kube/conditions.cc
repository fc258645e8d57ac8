#include "operator/kube/conditions.h"

#include <spdlog/spdlog.h>

#include <chrono>

#include "operator/kube/text.h"

namespace tarn::kube {
namespace {

const ResourceType kEvent{"", "v1", "events", "Event", true};
constexpr size_t kMaxMessage = 1024;         // of an event
constexpr size_t kMaxConditionText = 32768;  // of metav1.Condition

int64_t NowMicros() {
  auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::microseconds>(now).count();
}

}  // namespace

void SetCondition(Json& conditions, const std::string& type, bool status, const std::string& reason,
                  const std::string& message, int64_t observed_generation, int64_t now_seconds) {
  if (!conditions.is_array()) conditions = Json::array();
  Json next = {{"type", type},
               {"status", status ? "True" : "False"},
               {"reason", reason},
               {"message", message.substr(0, kMaxConditionText)},
               {"observedGeneration", observed_generation},
               {"lastTransitionTime", Rfc3339(now_seconds)}};
  for (Json& old : conditions) {
    if (Str(old, "type") != type) continue;
    if (Str(old, "status") == Str(next, "status") && !Str(old, "lastTransitionTime").empty()) {
      next["lastTransitionTime"] = old["lastTransitionTime"];
    }
    old = std::move(next);
    return;
  }
  conditions.push_back(std::move(next));
}

void RemoveCondition(Json& conditions, const std::string& type) {
  if (!conditions.is_array()) return;
  for (auto it = conditions.begin(); it != conditions.end();) {
    it = Str(*it, "type") == type ? conditions.erase(it) : it + 1;
  }
}

std::string ConditionStatus(const Json& object, const std::string& type) {
  for (const Json& c : Array(Object(object, "status"), "conditions")) {
    if (Str(c, "type") == type) return Str(c, "status");
  }
  return {};
}

void EventRecorder::Normal(const Json& object, const std::string& reason,
                           const std::string& message) {
  Record(object, "Normal", reason, message);
}

void EventRecorder::Warning(const Json& object, const std::string& reason,
                            const std::string& message) {
  Record(object, "Warning", reason, message);
}

void EventRecorder::Record(const Json& object, const char* type, const std::string& reason,
                           const std::string& message) {
  ObjectName about = NameOf(object);
  std::string uid = Str(Object(object, "metadata"), "uid");
  std::string key = uid + "\n" + reason + "\n" + message;
  int64_t micros = NowMicros();
  std::string now = Rfc3339(micros / 1000000);
  ObjectName name{about.ns.empty() ? "default" : about.ns,
                  about.name + "." + std::to_string(micros)};
  int64_t count = 1;
  {
    std::lock_guard lock(mu_);
    auto [it, fresh] = remembered_.try_emplace(key);
    if (fresh) {
      ages_.push_back(key);
      it->second.age = std::prev(ages_.end());
      it->second.event = name;
      if (remembered_.size() > kMaxRemembered) {
        remembered_.erase(ages_.front());
        ages_.pop_front();
      }
    } else if (micros / 1000000 - it->second.sent < kQuietSeconds) {
      ++it->second.count;
      return;
    }
    it->second.sent = micros / 1000000;
    count = ++it->second.count;
    name = it->second.event;
  }
  if (count > 1) {
    auto patched = client_.MergePatch(kEvent, name, {{"count", count}, {"lastTimestamp", now}});
    if (patched.ok()) return;  // else it has expired: a new one under the same name
  }
  Json event = {{"apiVersion", "v1"},
                {"kind", "Event"},
                {"metadata", {{"namespace", name.ns}, {"name", name.name}}},
                {"involvedObject",
                 {{"apiVersion", Str(object, "apiVersion")},
                  {"kind", Str(object, "kind")},
                  {"namespace", about.ns},
                  {"name", about.name},
                  {"uid", uid}}},
                {"type", type},
                {"reason", reason},
                {"message", message.substr(0, kMaxMessage)},
                {"source", {{"component", component_}}},
                {"firstTimestamp", now},
                {"lastTimestamp", now},
                {"count", count}};
  if (auto created = client_.Create(kEvent, event); !created.ok()) {
    spdlog::warn("event {} about {}: {}", reason, about.Key(), created.error().ToString());
  }
}

}  // namespace tarn::kube
