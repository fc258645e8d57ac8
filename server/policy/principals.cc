#include "server/policy/principals.h"

#include <algorithm>

#include "server/policy/arn.h"
#include "server/policy/elements.h"
#include "server/policy/json.h"

namespace tarn::policy {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kHow =
    R"(write "*" for everybody, or {"ServiceAccount": "namespace/name"}, with * for all of them)";
constexpr size_t kAwsAccountDigits = 12;
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
  size_t colon = name_space.find(':');
  std::string cluster = colon == name_space.npos ? "" : name_space.substr(0, colon + 1);
  std::string space = name_space.substr(cluster.size());
  return {cluster + "system:serviceaccounts", cluster + "system:serviceaccounts:" + space,
          cluster + "system:authenticated"};
}

Result<void> Principals::AddAccount(const std::string& text, const std::string& path) {
  if (text == "*") {
    any_account_ = true;
    return Ok();
  }
  std::string_view name = text;
  size_t colon = name.find(':');
  std::string_view cluster = name.substr(0, colon == name.npos ? 0 : colon);
  if (colon != name.npos) name.remove_prefix(colon + 1);
  bool good_cluster = colon == text.npos || IsName(cluster, kLabelBytesMax, false);
  if (good_cluster && !cluster.empty() && name == "*") {
    accounts_.push_back({.name = std::string(cluster) + ":", .whole = true});
    return Ok();
  }
  size_t slash = name.find('/');
  std::string_view space = name.substr(0, slash);
  name.remove_prefix(slash == name.npos ? name.size() : slash + 1);
  bool whole = name == "*";
  bool good = good_cluster && IsName(space, kLabelBytesMax, false) &&
              (whole || IsName(name, kNameBytesMax, true));
  if (!good) {
    return InvalidPolicy(path, "'" + text +
                                   "' names no ServiceAccount: write \"namespace/name\", "
                                   "\"namespace/*\" or \"*\"; a part of a name is matched by "
                                   "Condition StringLike tarn:ServiceAccount");
  }
  // All but the "*" behind the slash.
  accounts_.push_back({.name = whole ? text.substr(0, text.size() - 1) : text, .whole = whole});
  return Ok();
}

Result<void> Principals::AddAws(const std::string& text, const std::string& path) {
  auto is_account = [](std::string_view account) {
    return account.size() == kAwsAccountDigits &&
           std::all_of(account.begin(), account.end(), [](char c) { return c >= '0' && c <= '9'; });
  };
  if (text == "*") {
    everybody_ = true;
    return Ok();
  }
  auto arn = SplitArn(text);
  bool named = arn && (*arn)[0] == "arn" && ((*arn)[2] == "iam" || (*arn)[2] == "sts") &&
               is_account((*arn)[4]) && text.find_first_of("*?") == text.npos;
  if (is_account(text)) {
    aws_accounts_.push_back(text);
  } else if (named && arn->back() == "root") {
    aws_accounts_.emplace_back((*arn)[4]);
  } else if (named) {
    aws_principals_.push_back(text);
  } else {
    return InvalidPolicy(path, "'" + text +
                                   "' names nobody: write \"arn:aws:iam::123456789012:user/NAME\", "
                                   "\"123456789012\" for all of an account, or \"*\"; a part of a "
                                   "name is matched by Condition ArnLike aws:PrincipalArn");
  }
  return Ok();
}

Result<void> Principals::Add(const std::string& kind, const std::string& name,
                             const std::string& path) {
  return kind == "AWS" ? AddAws(name, path) : AddAccount(name, path);
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
        TRY(principals.Add(kind, names[i], at));
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
  std::string_view who = request.service_account;
  if (any_account_ && !who.empty()) return true;
  bool account = std::any_of(accounts_.begin(), accounts_.end(), [&](const Account& one) {
    return one.whole ? who.starts_with(one.name) : who == one.name;
  });
  std::string_view aws = request.aws_principal;
  if (account || aws.empty()) return account;
  auto has = [](const std::vector<std::string>& all, std::string_view one) {
    return std::find(all.begin(), all.end(), one) != all.end();
  };
  return has(aws_principals_, aws) || has(aws_accounts_, AccountOfArn(aws));
}

}  // namespace tarn::policy
