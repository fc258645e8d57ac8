#include "operator/status_draft.h"

namespace tarn::op {
namespace {

using kube::Array;
using kube::Object;
using kube::Str;

const char* ReasonOf(Code code) {
  switch (code) {
    case Code::kUnavailable:
    case Code::kDeadlineExceeded:
      return "ControlUnreachable";
    case Code::kUnauthenticated:
    case Code::kDenied:
      return "Denied";
    case Code::kNotFound:
      return "NotFound";
    case Code::kAlreadyExists:
      return "Conflict";
    case Code::kInvalid:
      return "Invalid";
    case Code::kInUse:
      return "InUse";
    case Code::kLimitExceeded:
      return "LimitExceeded";
    case Code::kNotSupported:
      return "NotSupported";
    default:
      return "Failed";
  }
}

Json ConditionOf(const Json& status, const std::string& type) {
  for (const Json& c : Array(status, "conditions")) {
    if (Str(c, "type") == type) return c;
  }
  return Json::object();
}

}  // namespace

StatusDraft::StatusDraft(Context& context, const kube::ResourceType& type, const Json& object)
    : context_(context), type_(type), object_(object), status_(Object(object, "status")) {
  if (!status_.is_object()) status_ = Json::object();
  status_["observedGeneration"] = GenerationOf(object);
}

void StatusDraft::Condition(const std::string& type, bool status, const std::string& reason,
                            const std::string& message) {
  kube::SetCondition(status_["conditions"], type, status, reason, message, GenerationOf(object_),
                     context_.now_seconds());
}

void StatusDraft::RemoveCondition(const std::string& type) {
  if (status_.contains("conditions")) kube::RemoveCondition(status_["conditions"], type);
}

bool StatusDraft::SetReady(bool status, const std::string& reason, const std::string& message) {
  Json old = ConditionOf(Object(object_, "status"), "Ready");
  Condition("Ready", status, reason, message);
  return Str(old, "status") != (status ? "True" : "False") || Str(old, "reason") != reason;
}

void StatusDraft::Ready(const std::string& reason, const std::string& message) {
  if (SetReady(true, reason, message)) context_.events.Normal(object_, reason, message);
}

void StatusDraft::Waiting(const std::string& reason, const std::string& message) {
  if (SetReady(false, reason, message)) context_.events.Normal(object_, reason, message);
}

void StatusDraft::Failed(const Error& error) {
  // A conflict of versions is ordinary and over at once.
  if (error.code() == Code::kAborted) return;
  std::string reason = ReasonOf(error.code());
  if (SetReady(false, reason, error.message())) {
    context_.events.Warning(object_, reason, error.message());
  }
}

Result<void> StatusDraft::Write() {
  if (status_ == Object(object_, "status")) return Ok();
  ObjectName name = kube::NameOf(object_);
  auto written = context_.client.ApplyStatus(
      type_, {{"metadata", {{"namespace", name.ns}, {"name", name.name}}}, {"status", status_}});
  if (!written.ok() && written.code() != Code::kNotFound) return written.error();
  return Ok();
}

}  // namespace tarn::op
