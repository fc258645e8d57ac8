#include "server/policy/statement.h"

#include <algorithm>

#include "server/policy/json.h"

namespace tarn::policy {
namespace {

using Json = nlohmann::json;

constexpr std::array kElements{"Sid",       "Effect",   "Principal",   "NotPrincipal", "Action",
                               "NotAction", "Resource", "NotResource", "Condition"};
constexpr size_t kSidCharactersMax = 128;

Result<void> CheckElements(const Json& json, const std::string& path) {
  for (const auto& [name, value] : json.items()) {
    std::string what = "a statement has no such element";
    bool known = false;
    for (std::string_view element : kElements) {
      known = known || element == name;
      if (element != name && EqualIgnoringCase(element, name)) {
        what.append(": write ").append(element);
      }
    }
    if (!known) return InvalidPolicy(Below(path, name), what);
  }
  for (std::string_view element : {"Principal", "Action", "Resource"}) {
    std::string negated = "Not" + std::string(element);
    bool both = json.contains(element) && json.contains(negated);
    bool none = !json.contains(element) && !json.contains(negated);
    if (both) {
      return InvalidPolicy(path, "has both " + std::string(element) + " and " + negated +
                                     ": leave one, or make two statements");
    }
    if (none && element != "Resource") {
      return InvalidPolicy(path, "has neither " + std::string(element) + " nor " + negated +
                                     ": add one; \"*\" is all");
    }
  }
  return Ok();
}

// The element or its negation, whichever is there; null: neither.
const Json* Either(const Json& json, const std::string& element, std::string& path, bool& negated) {
  negated = json.contains("Not" + element);
  std::string name = (negated ? "Not" : "") + element;
  auto found = json.find(name);
  if (found == json.end()) return nullptr;
  path = Below(path, name);
  return &*found;
}

// The values of a condition as text: a string, number or boolean, or a list of them.
Result<std::vector<std::string>> Values(const Json& json, const std::string& path) {
  auto text = [](const Json& value) {
    return value.is_string() ? value.get<std::string>() : value.dump();
  };
  std::vector<std::string> values;
  auto good = [](const Json& v) { return v.is_string() || v.is_boolean() || v.is_number(); };
  if (good(json)) return std::vector{text(json)};
  if (!json.is_array() || json.empty()) {
    return InvalidPolicy(path, "must be a string, or a list with one or more");
  }
  for (size_t i = 0; i < json.size(); ++i) {
    if (!good(json[i])) return InvalidPolicy(Below(path, i), "must be a string");
    values.push_back(text(json[i]));
  }
  return values;
}

}  // namespace

Result<void> Statement::ParseHead(const Json& json, const std::string& path) {
  if (auto sid = json.find("Sid"); sid != json.end()) {
    std::string at = Below(path, "Sid");
    if (!sid->is_string()) return InvalidPolicy(at, "must be a string");
    sid_ = sid->get<std::string>();
    bool good =
        sid_.size() <= kSidCharactersMax && std::all_of(sid_.begin(), sid_.end(), [](char c) {
          return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                 c == '-' || c == '_';
        });
    if (!good) {
      return InvalidPolicy(at, "'" + sid_ + "' is no Sid: use letters, digits, - and _, at most " +
                                   std::to_string(kSidCharactersMax));
    }
  }
  auto effect = json.find("Effect");
  if (effect == json.end()) {
    return InvalidPolicy(path, R"(has no Effect: add "Effect": "Allow" or "Deny")");
  }
  allows_ = *effect == "Allow";
  if (!allows_ && *effect != "Deny") {
    return InvalidPolicy(Below(path, "Effect"), R"(must be "Allow" or "Deny")");
  }
  return Ok();
}

Result<void> Statement::ParseOperator(const Json& keys, const std::string& name,
                                      const std::string& path, const Language& language) {
  auto op = policy::ParseOperator(name);
  if (!op.ok()) return InvalidPolicy(path, op.error().message());
  if (!keys.is_object() || keys.empty()) {
    return InvalidPolicy(path, R"(must be an object: {"aws:SecureTransport": "true"})");
  }
  std::vector<Key> seen;
  for (const auto& [key_name, value] : keys.items()) {
    std::string at = Below(path, key_name);
    auto key = FindKey(key_name);
    if (!key) return InvalidPolicy(at, "there is no such condition key: use one of " + KeyNames());
    if (std::find(seen.begin(), seen.end(), *key) != seen.end()) {
      return InvalidPolicy(at, "the key stands here twice: leave one, with a list of values");
    }
    seen.push_back(*key);
    if (auto fits = CheckFits(*op, name, *key); !fits.ok()) {
      return InvalidPolicy(at, fits.error().message());
    }
    TRY(std::vector<std::string> values, Values(value, at));
    auto made = Condition::Make(*op, *key, values, language.variables);
    if (auto* failure = std::get_if<Condition::Failure>(&made)) {
      bool listed = value.is_array() && failure->value >= 0;
      return InvalidPolicy(listed ? Below(at, static_cast<size_t>(failure->value)) : at,
                           failure->message);
    }
    conditions_.push_back(std::get<Condition>(std::move(made)));
  }
  return Ok();
}

Result<void> Statement::ParseConditions(const Json& json, const std::string& path,
                                        const Language& language) {
  if (!json.is_object() || json.empty()) {
    return InvalidPolicy(path, "must be an object of operators; leave it out for no condition");
  }
  for (const auto& [name, keys] : json.items()) {
    TRY(ParseOperator(keys, name, Below(path, name), language));
  }
  return Ok();
}

Result<Statement> Statement::Parse(const Json& json, int index, const std::string& path,
                                   const Language& language) {
  if (!json.is_object()) return InvalidPolicy(path, "a statement must be an object");
  TRY(CheckElements(json, path));
  Statement statement;
  statement.index_ = index;
  TRY(statement.ParseHead(json, path));
  bool negated = false;
  std::string at = path;
  const Json* element = Either(json, "Principal", at, negated);
  TRY(statement.principals_, Principals::Parse(*element, at, negated));
  element = Either(json, "Action", at = path, negated);
  TRY(statement.actions_, ParseActions(*element, at, negated));
  element = Either(json, "Resource", at = path, negated);
  if (element != nullptr) {
    TRY(statement.resources_,
        Resources::Parse(*element, at, negated, language.variables, language.file_system_arn));
  }
  if (auto conditions = json.find("Condition"); conditions != json.end()) {
    TRY(statement.ParseConditions(*conditions, Below(path, "Condition"), language));
  }
  return statement;
}

bool Statement::Applies(const Request& request) const {
  return principals_.Include(request) && resources_.Include(request) &&
         std::all_of(conditions_.begin(), conditions_.end(),
                     [&](const Condition& c) { return c.Holds(request); });
}

bool Statement::depends_on_time() const {
  return std::any_of(conditions_.begin(), conditions_.end(),
                     [](const Condition& c) { return c.depends_on_time(); });
}

}  // namespace tarn::policy
