#include "server/policy/elements.h"

#include <algorithm>

#include "server/policy/arn.h"
#include "server/policy/json.h"

namespace tarn::policy {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kService = "elasticfilesystem";

std::string ActionNames() {
  std::string names;
  for (Action action : kActions) names.append(names.empty() ? "" : ", ").append(Name(action));
  return names;
}

Result<ActionSet> ActionsLike(const std::string& text, const std::string& path) {
  if (text == "*") return kAllActions;
  size_t colon = text.find(':');
  bool ours = colon != text.npos && EqualIgnoringCase(text.substr(0, colon), kService);
  ActionSet set = 0;
  if (ours) {
    PatternSyntax syntax{.wildcards = true, .variables = false, .ignore_case = true};
    TRY(Pattern pattern, Pattern::Parse(std::string_view(text).substr(colon + 1), syntax));
    for (Action action : kActions) {
      std::string_view name = Name(action).substr(kService.size() + 1);
      if (pattern.Matches(name, Request{})) set |= Bit(action);
    }
  }
  if (set != 0) return set;
  return InvalidPolicy(path, "'" + text +
                                 "' is none of the actions that a file system policy "
                                 "decides: use " +
                                 ActionNames() + ", or * for all of them");
}

// Can it be the ARN of a file system or an access point?
bool IsResourceArn(std::string text) {
  if (text.ends_with('*')) text += ":*:*:*";  // a last * reaches over colons
  auto parts = SplitArn(text);
  if (!parts || (*parts)[0] != "arn" || (*parts)[2] != kService) return false;
  std::string_view resource = (*parts)[5];
  size_t end = resource.find_first_of("/*?$");
  if (end == resource.npos) return false;
  std::string_view kind = resource.substr(0, end);
  return resource[end] != '/' || kind == "file-system" || kind == "access-point";
}

}  // namespace

std::string_view Name(Action action) {
  switch (action) {
    case Action::kMount:
      return "elasticfilesystem:ClientMount";
    case Action::kWrite:
      return "elasticfilesystem:ClientWrite";
    case Action::kRoot:
      return "elasticfilesystem:ClientRootAccess";
  }
  return "";
}

Result<std::vector<std::string>> Strings(const Json& element, const std::string& path) {
  if (element.is_string()) return std::vector{element.get<std::string>()};
  if (!element.is_array() || element.empty()) {
    return InvalidPolicy(path, "must be a string, or a list with one or more");
  }
  std::vector<std::string> strings;
  for (size_t i = 0; i < element.size(); ++i) {
    if (!element[i].is_string()) return InvalidPolicy(Below(path, i), "must be a string");
    strings.push_back(element[i].get<std::string>());
  }
  return strings;
}

Result<ActionSet> ParseActions(const Json& element, const std::string& path, bool negated) {
  TRY(std::vector<std::string> texts, Strings(element, path));
  ActionSet set = 0;
  for (size_t i = 0; i < texts.size(); ++i) {
    TRY(ActionSet some, ActionsLike(texts[i], element.is_array() ? Below(path, i) : path));
    set |= some;
  }
  if (!negated) return set;
  if (set == kAllActions) {
    return InvalidPolicy(path, "no action is left, so the statement never applies: remove it");
  }
  return static_cast<ActionSet>(kAllActions & ~set);
}

Result<Resources::One> Resources::ParseOne(const std::string& text, const std::string& path,
                                           bool variables) {
  bool bare = text.starts_with("fs-") || text.starts_with("fsap-");
  if (text != "*" && !bare && !IsResourceArn(text)) {
    return InvalidPolicy(path, "'" + text +
                                   "' is no resource of a file system policy: write \"*\", the ARN "
                                   "arn:aws:elasticfilesystem:REGION:ACCOUNT:file-system/fs-... or "
                                   "...:access-point/fsap-..., or the id alone");
  }
  auto pattern = Pattern::Parse(text, {.wildcards = true, .variables = variables});
  if (!pattern.ok()) return InvalidPolicy(path, pattern.error().message());
  return One{.pattern = std::move(pattern).value(), .bare = bare};
}

Result<void> Resources::CheckOwn(const One& one, const std::string& text, const std::string& path,
                                 std::string_view file_system_arn) {
  if (file_system_arn.empty() || one.pattern.has_variables()) return Ok();
  auto parts = SplitArn(text);
  bool of_file_system =
      one.bare ? text.starts_with("fs-") : parts && (*parts)[5].starts_with("file-system/");
  std::string_view own = one.bare ? IdOfArn(file_system_arn) : file_system_arn;
  if (!of_file_system || one.pattern.Matches(own, Request{})) return Ok();
  return InvalidPolicy(path, "'" + text +
                                 "' is another file system than the policy's own, which "
                                 "is " +
                                 std::string(own) + ": write that, or leave Resource out");
}

Result<Resources> Resources::Parse(const Json& element, const std::string& path, bool negated,
                                   bool variables, std::string_view file_system_arn) {
  TRY(std::vector<std::string> texts, Strings(element, path));
  Resources resources;
  resources.negated_ = negated;
  bool everything = false;
  for (size_t i = 0; i < texts.size(); ++i) {
    std::string at = element.is_array() ? Below(path, i) : path;
    everything = everything || texts[i] == "*";
    if (negated && texts[i] == "*") {
      return InvalidPolicy(at, "no resource is left, so the statement never applies: remove it");
    }
    TRY(One one, ParseOne(texts[i], at, variables));
    if (!negated) TRY(CheckOwn(one, texts[i], at, file_system_arn));
    resources.patterns_.push_back(std::move(one));
  }
  if (everything) resources.patterns_.clear();
  return resources;
}

bool Resources::Listed(const Request& request) const {
  return std::any_of(patterns_.begin(), patterns_.end(), [&](const One& one) {
    for (std::string_view arn : {request.file_system_arn, request.access_point_arn}) {
      if (arn.empty()) continue;
      if (one.pattern.Matches(one.bare ? IdOfArn(arn) : arn, request)) return true;
    }
    return false;
  });
}

}  // namespace tarn::policy
