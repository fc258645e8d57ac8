// Conditions and events: what a person sees of an object's state.
#pragma once

#include <list>
#include <map>
#include <mutex>
#include <string>

#include "operator/kube/client.h"

namespace tarn::kube {

// Sets one condition in `conditions` (an array of metav1.Condition, normally the old status's).
// lastTransitionTime changes only with the status.
void SetCondition(Json& conditions, const std::string& type, bool status, const std::string& reason,
                  const std::string& message, int64_t observed_generation, int64_t now_seconds);
void RemoveCondition(Json& conditions, const std::string& type);
// "True", "False" or "" when there is none.
std::string ConditionStatus(const Json& object, const std::string& type);

// Records events, one object an (involved object, reason, message): a repetition raises the count
// of the one there is. Thread-safe. A failure to record is logged and no error.
class EventRecorder {
 public:
  static constexpr size_t kMaxRemembered = 1024;
  // A repetition within this time is not sent.
  static constexpr int64_t kQuietSeconds = 60;

  EventRecorder(Client& client, std::string component)
      : client_(client), component_(std::move(component)) {}
  void Normal(const Json& object, const std::string& reason, const std::string& message);
  void Warning(const Json& object, const std::string& reason, const std::string& message);

 private:
  struct Remembered {
    ObjectName event;
    int64_t count = 0;
    int64_t sent = 0;
    std::list<std::string>::iterator age;
  };
  void Record(const Json& object, const char* type, const std::string& reason,
              const std::string& message);

  Client& client_;
  std::string component_;
  std::mutex mu_;
  std::list<std::string> ages_;  // oldest first
  std::map<std::string, Remembered> remembered_;
};

}  // namespace tarn::kube
