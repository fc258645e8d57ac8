// The elements of a statement that are lists of text: Action, Resource, and their negations.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "server/policy/pattern.h"
#include "server/policy/request.h"

namespace tarn::policy {

// A string, or a list of them that is not empty.
Result<std::vector<std::string>> Strings(const nlohmann::json& element, const std::string& path);

// A bit an Action.
using ActionSet = uint8_t;
constexpr ActionSet Bit(Action action) {
  return static_cast<ActionSet>(1u << static_cast<unsigned>(action));
}
inline constexpr ActionSet kAllActions =
    Bit(Action::kMount) | Bit(Action::kWrite) | Bit(Action::kRoot);

// Of an Action, or with `negated` of a NotAction: "*", "elasticfilesystem:ClientWrite", with
// wildcards behind the colon, in any case.
Result<ActionSet> ParseActions(const nlohmann::json& element, const std::string& path,
                               bool negated);

// What a statement is about: a connection is to a file system, and maybe through an access point.
// A Resource fits when it names one of these two, a NotResource when it names neither.
class Resources {
 public:
  // Of statements with neither: all.
  Resources() = default;
  // A list with "*" is all, too. `file_system_arn`: whose policy it is; a Resource that names
  // another one is an error. Empty: not known.
  static Result<Resources> Parse(const nlohmann::json& element, const std::string& path,
                                 bool negated, bool variables, std::string_view file_system_arn);

  bool all() const { return patterns_.empty(); }
  bool Include(const Request& request) const {
    return patterns_.empty() || Listed(request) != negated_;
  }

 private:
  struct One {
    Pattern pattern;
    bool bare = false;  // of an id, not of an ARN
  };
  static Result<One> ParseOne(const std::string& text, const std::string& path, bool variables);
  static Result<void> CheckOwn(const One& one, const std::string& text, const std::string& path,
                               std::string_view file_system_arn);
  bool Listed(const Request& request) const;

  bool negated_ = false;
  std::vector<One> patterns_;
};

}  // namespace tarn::policy
