#include "server/policy/principals.h"

#include <algorithm>

#include "server/policy/elements.h"
#include "server/policy/json.h"

namespace tarn::policy {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kHow =
    R"(write "*" for everybody, or {"ServiceAccount": "namespace/name"}, with * for all of them)";
// RFC 1123, as Kubernetes has it of namespaces and of ServiceAccounts.
constexpr size_t kLabelBytesMax = 63;
constexpr size_t kNameBytesMax = 253;

bool IsName(std::string_view text, size_t bytes_max, bool dots) {
  auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !text.empty() && text.size() <= bytes_max && letter(text.front()) && letter(text.back()) &&
         std::all_of(text.begin(), text.end(),
                     [&](char c) { return letter(c) || c == '-' || (dots && c == '.'); });
}

}  // namespace

std::vector<std::string> GroupsOf(const std::string& name_space) {
  return {"system:serviceaccounts", "system:serviceaccounts:" + name_space, "system:authenticated"};
}

Result<void> Principals::AddAccount(const std::string& text, const std::string& path) {
  if (text == "*") {
    any_account_ = true;
    return Ok();
  }
  std::string_view name = text;
  size_t slash = name.find('/');
  std::string_view space = name.substr(0, slash);
  name.remove_prefix(slash == name.npos ? name.size() : slash + 1);
  bool whole = name == "*";
  if (!IsName(space, kLabelBytesMax, false) || !(whole || IsName(name, kNameBytesMax, true))) {
    return InvalidPolicy(path, "'" + text +
                                   "' names no ServiceAccount: write \"namespace/name\", "
                                   "\"namespace/*\" or \"*\"; a part of a name is matched by "
                                   "Condition StringLike tarn:ServiceAccount");
  }
  accounts_.push_back({.name = whole ? std::string(space) + "/" : text, .whole = whole});
  return Ok();
}

Result<Principals> Principals::Parse(const Json& element, const std::string& path, bool negated) {
  Principals principals;
  principals.negated_ = negated;
  if (element.is_string() && element == "*") {
    principals.everybody_ = true;
  } else if (!element.is_object() || element.empty()) {
    return InvalidPolicy(path, "is no principal: " + std::string(kHow));
  } else {
    for (const auto& [kind, value] : element.items()) {
      std::string below = Below(path, kind);
      if (kind != "AWS" && kind != "ServiceAccount") {
        return InvalidPolicy(below, "there is no such kind of principal: " + std::string(kHow));
      }
      TRY(std::vector<std::string> names, Strings(value, below));
      for (size_t i = 0; i < names.size(); ++i) {
        std::string at = value.is_array() ? Below(below, i) : below;
        if (kind == "ServiceAccount") {
          TRY(principals.AddAccount(names[i], at));
        } else if (names[i] == "*") {
          principals.everybody_ = true;
        } else {
          return InvalidPolicy(
              at, "there are no principals of AWS here but \"*\": " + std::string(kHow));
        }
      }
    }
  }
  if (negated && principals.everybody_) {
    return InvalidPolicy(path, "nobody is left, so the statement never applies: remove it");
  }
  return principals;
}

bool Principals::Listed(const Request& request) const {
  if (everybody_) return true;
  if (request.anonymous()) return false;
  if (any_account_) return true;
  std::string_view who = request.service_account;
  return std::any_of(accounts_.begin(), accounts_.end(), [&](const Account& account) {
    return account.whole ? who.starts_with(account.name) : who == account.name;
  });
}

}  // namespace tarn::policy
