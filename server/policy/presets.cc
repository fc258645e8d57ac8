#include "server/policy/presets.h"

#include <nlohmann/json.hpp>

#include "server/policy/policy.h"

namespace tarn::policy {
namespace {

using Json = nlohmann::ordered_json;

Json AllowTo(const char* sid, Json principal, const std::vector<Action>& actions) {
  Json names = Json::array();
  for (Action action : actions) names.push_back(Name(action));
  return {{"Sid", sid},
          {"Effect", "Allow"},
          {"Principal", std::move(principal)},
          {"Action", std::move(names)}};
}

Json Accounts(const std::vector<std::string>& names) {
  Json accounts = names.size() == 1 ? Json(names.front()) : Json(names);
  return {{"ServiceAccount", std::move(accounts)}};
}

Json DenyOf(const char* sid, Json action) {
  return {{"Sid", sid}, {"Effect", "Deny"}, {"Principal", "*"}, {"Action", std::move(action)}};
}

}  // namespace

Result<std::string> MakePolicy(const Preset& preset) {
  if (preset.read_only && !preset.writers.empty()) {
    return Error(Code::kInvalid,
                 "a policy that is read-only for all has no writers: leave out one of them");
  }
  Json statements = Json::array();
  if (preset.full.empty() && preset.writers.empty() && preset.readers.empty()) {
    statements.push_back(
        AllowTo("AllowEverybody", "*", {Action::kMount, Action::kWrite, Action::kRoot}));
  }
  if (!preset.full.empty()) {
    statements.push_back(AllowTo("AllowFullAccess", Accounts(preset.full),
                                 {Action::kMount, Action::kWrite, Action::kRoot}));
  }
  if (!preset.writers.empty()) {
    statements.push_back(
        AllowTo("AllowWriting", Accounts(preset.writers), {Action::kMount, Action::kWrite}));
  }
  if (!preset.readers.empty()) {
    statements.push_back(AllowTo("AllowReading", Accounts(preset.readers), {Action::kMount}));
  }
  if (preset.enforce_tls) {
    Json deny = DenyOf("EnforceTls", "*");
    deny["Condition"] = {{"Bool", {{"aws:SecureTransport", "false"}}}};
    statements.push_back(std::move(deny));
  }
  if (preset.enforce_identity) {
    statements.push_back({{"Sid", "EnforceIdentity"},
                          {"Effect", "Deny"},
                          {"NotPrincipal", {{"ServiceAccount", "*"}}},
                          {"Action", "*"}});
  }
  if (preset.deny_root) statements.push_back(DenyOf("DenyRoot", Name(Action::kRoot)));
  if (preset.read_only) statements.push_back(DenyOf("ReadOnly", Name(Action::kWrite)));
  if (preset.only_by_access_points) {
    Json deny = DenyOf("OnlyByAccessPoints", "*");
    deny["Condition"] = {{"Null", {{"elasticfilesystem:AccessPointArn", "true"}}}};
    statements.push_back(std::move(deny));
  }
  Json document{{"Version", "2012-10-17"}, {"Statement", std::move(statements)}};
  std::string text = document.dump(2, ' ', false, Json::error_handler_t::replace);
  TRY(Policy::Compile(text));  // names of ServiceAccounts that are none
  return text;
}

}  // namespace tarn::policy
