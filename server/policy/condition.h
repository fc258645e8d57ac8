// One line of a statement's Condition: an operator, a key and the values it is compared with.
//
// All lines of a statement must hold. Of several values one must match, or none of them under a
// negated operator. An absent key matches nothing: a plain operator fails, a negated one holds,
// one that ends in IfExists holds. Under ForAllValues each value of the request must pass (none
// at all passes), under ForAnyValue one must.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <variant>
#include <vector>

#include "common/ip_address.h"
#include "server/policy/arn.h"
#include "server/policy/keys.h"
#include "server/policy/pattern.h"

namespace tarn::policy {

// What an operator's name says.
struct Operator {
  enum class Family : uint8_t { kString, kArn, kAddress, kBool, kNull, kNumber, kDate };
  enum class Quantifier : uint8_t { kNone, kForAny, kForAll };
  // kNumber and kDate; the others know only kEqual.
  enum class Comparison : uint8_t { kEqual, kLess, kLessEqual, kGreater, kGreaterEqual };

  Family family{};
  Comparison comparison = Comparison::kEqual;
  Quantifier quantifier = Quantifier::kNone;
  bool negated = false;
  bool wildcards = false;    // kString
  bool ignore_case = false;  // kString
  bool if_exists = false;
};
// "ForAnyValue:StringLikeIfExists". An error says what is wrong; its message has no path.
Result<Operator> ParseOperator(std::string_view name);
// May the operator ask for this key? An error names one that may.
Result<void> CheckFits(const Operator& op, std::string_view op_name, Key key);

// A pattern of an ARN whose parts are compared one by one, as ArnEquals and ArnLike do.
class ArnPattern {
 public:
  static Result<ArnPattern> Parse(std::string_view text, bool variables);
  bool Matches(std::string_view arn, const Request& request) const;

 private:
  std::vector<Pattern> parts_;  // kArnParts, or one that the whole is compared with
};

class Condition {
 public:
  // The values as text, at least one; JSON numbers and booleans as JSON writes them. `variables`:
  // the policy's version has them. An error tells the index of the value at fault, or -1.
  struct Failure {
    int value = -1;
    std::string message;
  };
  static std::variant<Condition, Failure> Make(const Operator& op, Key key,
                                               const std::vector<std::string>& values,
                                               bool variables);

  bool Holds(const Request& request) const;
  bool depends_on_time() const { return key_ == Key::kCurrentTime || key_ == Key::kEpochTime; }

 private:
  // Which of false and true are asked for.
  using Bools = std::array<bool, 2>;
  bool Matches(const Request& request, size_t index) const;
  bool MatchesNumber(double value) const;

  Operator op_;
  Key key_{};
  std::variant<Bools, std::vector<Pattern>, std::vector<ArnPattern>, std::vector<IpRange>,
               std::vector<double>>
      values_;
};

}  // namespace tarn::policy
