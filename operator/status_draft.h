// StatusDraft: a custom resource's next status, begun from the one it has, and written by
// server-side apply when it differs.
#pragma once

#include "operator/context.h"
#include "operator/names.h"

namespace tarn::op {

class StatusDraft {
 public:
  // `context` and `object` must outlive the draft.
  StatusDraft(Context& context, const kube::ResourceType& type, const Json& object);

  Json& operator[](const char* field) { return status_[field]; }
  void Condition(const std::string& type, bool status, const std::string& reason,
                 const std::string& message);
  void RemoveCondition(const std::string& type);
  // The condition Ready. Each of these three also records an event when the reason is new.
  void Ready(const std::string& reason, const std::string& message);
  // False, as it should be for now.
  void Waiting(const std::string& reason, const std::string& message);
  // False, with a reason that follows from the error's code.
  void Failed(const Error& error);

  // An object that is gone meanwhile is no error.
  Result<void> Write();

 private:
  bool SetReady(bool status, const std::string& reason, const std::string& message);

  Context& context_;
  const kube::ResourceType& type_;
  const Json& object_;
  Json status_;
};

}  // namespace tarn::op
