// One statement of a policy.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "server/policy/condition.h"
#include "server/policy/elements.h"
#include "server/policy/principals.h"

namespace tarn::policy {

// What all statements of a policy have in common.
struct Language {
  bool variables = false;            // version 2012-10-17
  std::string_view file_system_arn;  // whose policy it is; empty: not known
};

class Statement {
 public:
  static Result<Statement> Parse(const nlohmann::json& json, int index, const std::string& path,
                                 const Language& language);

  // Does it apply, as far as the action does not matter?
  bool Applies(const Request& request) const;
  // To every request there can be, as far as a look at it tells.
  bool always_applies() const {
    return principals_.everybody() && resources_.all() && conditions_.empty();
  }

  int index() const { return index_; }
  const std::string& sid() const { return sid_; }
  bool allows() const { return allows_; }
  ActionSet actions() const { return actions_; }
  bool depends_on_time() const;

 private:
  Result<void> ParseHead(const nlohmann::json& json, const std::string& path);
  Result<void> ParseConditions(const nlohmann::json& json, const std::string& path,
                               const Language& language);
  Result<void> ParseOperator(const nlohmann::json& keys, const std::string& name,
                             const std::string& path, const Language& language);

  int index_ = 0;
  std::string sid_;
  bool allows_ = false;
  ActionSet actions_ = 0;
  Principals principals_;
  Resources resources_;
  std::vector<Condition> conditions_;
};

}  // namespace tarn::policy
