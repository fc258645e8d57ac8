#include "server/policy/policy.h"

#include <algorithm>
#include <cassert>
#include <set>

#include "server/policy/json.h"

namespace tarn::policy {
namespace {

using Json = nlohmann::json;

constexpr size_t kIdCharactersMax = 128;

size_t Characters(std::string_view text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<uint8_t>(c) & 0xc0) != 0x80; }));
}

Result<void> CheckId(const Json& id) {
  if (!id.is_string()) return InvalidPolicy("Id", "must be a string");
  auto text = id.get<std::string>();
  bool good = !text.empty() && text.size() <= kIdCharactersMax &&
              std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
  if (good) return Ok();
  return InvalidPolicy("Id", "must be 1 to " + std::to_string(kIdCharactersMax) +
                                 " characters of ASCII; or leave it out");
}

// The document but for its statements.
Result<Language> ParseFrame(const Json& json) {
  if (!json.is_object()) return InvalidPolicy("", R"(must be an object: {"Statement": [...]})");
  Language language;
  for (const auto& [name, value] : json.items()) {
    if (name == "Version") {
      language.variables = value == "2012-10-17";
      if (!language.variables && value != "2008-10-17") {
        return InvalidPolicy("Version",
                             R"(must be "2012-10-17", or "2008-10-17" without variables)");
      }
    } else if (name == "Id") {
      TRY(CheckId(value));
    } else if (name != "Statement") {
      return InvalidPolicy(Below("", name),
                           "a policy has no such element: it has Version, Id and Statement");
    }
  }
  auto statements = json.find("Statement");
  if (statements == json.end()) return InvalidPolicy("", "has no Statement: add one");
  if (statements->is_array() && statements->empty()) {
    return InvalidPolicy("Statement",
                         "is empty, so that nobody may do anything: add a statement, or delete "
                         "the policy to allow everything");
  }
  if (!statements->is_array() && !statements->is_object()) {
    return InvalidPolicy("Statement", "must be a statement, or a list of them");
  }
  return language;
}

}  // namespace

Result<std::shared_ptr<const Policy>> Policy::Compile(std::string_view text,
                                                      std::string_view file_system_arn) {
  if (size_t characters = Characters(text); characters > kCharactersMax) {
    return InvalidPolicy("", "has " + std::to_string(characters) + " characters, more than the " +
                                 std::to_string(kCharactersMax) + " that it may have: shorten it");
  }
  TRY(Json json, ParseJson(text));
  TRY(Language language, ParseFrame(json));
  language.file_system_arn = file_system_arn;
  const Json& statements = json["Statement"];
  bool list = statements.is_array();
  std::shared_ptr<Policy> policy(new Policy);
  policy->text_ = text;
  std::set<std::string> sids;
  for (size_t i = 0; i < (list ? statements.size() : 1); ++i) {
    std::string path = list ? Below("Statement", i) : "Statement";
    TRY(Statement statement,
        Statement::Parse(list ? statements[i] : statements, static_cast<int>(i), path, language));
    const std::string& sid = statement.sid();
    if (!sid.empty() && !sids.insert(sid).second) {
      return InvalidPolicy(Below(path, "Sid"),
                           "'" + sid + "' is the Sid of an earlier statement too: change one");
    }
    policy->depends_on_time_ |= statement.depends_on_time();
    (statement.allows() ? policy->allows_ : policy->denies_).push_back(std::move(statement));
  }
  return std::shared_ptr<const Policy>(std::move(policy));
}

std::shared_ptr<const Policy> Policy::DenyAll() {
  auto policy = Compile(R"({"Version": "2012-10-17", "Statement": {"Sid": "PolicyCannotBeRead",
      "Effect": "Deny", "Principal": "*", "Action": "*"}})");
  assert(policy.ok());
  return std::move(policy).value();
}

void Policy::Decide(const Request& request, ActionSet open, Rights& rights) const {
  auto by = [&](const std::vector<Statement>& statements, Reason reason) {
    for (const Statement& statement : statements) {
      auto hit = static_cast<ActionSet>(statement.actions() & open);
      if (hit == 0 || !statement.Applies(request)) continue;
      for (Action action : kActions) {
        if ((hit & Bit(action)) != 0) rights.of(action) = {reason, statement.index()};
      }
      open = static_cast<ActionSet>(open & ~hit);
      if (open == 0) return;
    }
  };
  by(denies_, Reason::kExplicitDeny);
  by(allows_, Reason::kAllow);
}

Rights Policy::Decide(const Request& request) const {
  Rights rights;
  Decide(request, kAllActions, rights);
  return rights;
}

Decision Policy::Decide(const Request& request, Action action) const {
  Rights rights;
  Decide(request, Bit(action), rights);
  return rights.of(action);
}

bool Policy::EverAllows(Action action) const {
  auto names = [&](const Statement& s) { return (s.actions() & Bit(action)) != 0; };
  return std::any_of(allows_.begin(), allows_.end(), names) &&
         std::none_of(denies_.begin(), denies_.end(),
                      [&](const Statement& s) { return names(s) && s.always_applies(); });
}

std::string Policy::NameOf(int index) const {
  std::string name = "statement " + std::to_string(index);
  for (const auto* statements : {&denies_, &allows_}) {
    for (const Statement& statement : *statements) {
      if (statement.index() != index || statement.sid().empty()) continue;
      name.append(" '").append(statement.sid()).append("'");
    }
  }
  return name;
}

Rights Decide(const Policy* policy, const Request& request) {
  return policy == nullptr ? Rights::Unlimited() : policy->Decide(request);
}

std::string Explain(const Policy* policy, Action action, const Decision& decision) {
  std::string name(Name(action));
  switch (decision.reason) {
    case Reason::kNoPolicy:
      return name + " is allowed: the file system has no policy";
    case Reason::kAllow:
      return name + " is allowed by " + policy->NameOf(decision.statement);
    case Reason::kExplicitDeny:
      return name + " is denied by " + policy->NameOf(decision.statement) + ": explicit deny";
    case Reason::kNoStatementAllows:
      return name + " is denied: no statement allows it";
  }
  return name;
}

}  // namespace tarn::policy
