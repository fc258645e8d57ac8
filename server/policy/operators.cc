// The names of condition operators, and which keys each may ask for.
#include <algorithm>
#include <array>

#include "server/policy/condition.h"

namespace tarn::policy {
namespace {

using Family = Operator::Family;
using Quantifier = Operator::Quantifier;
using Comparison = Operator::Comparison;

struct Named {
  std::string_view name;
  Operator op;
};

constexpr std::array kOperators{
    Named{"StringEquals", {.family = Family::kString}},
    Named{"StringNotEquals", {.family = Family::kString, .negated = true}},
    Named{"StringEqualsIgnoreCase", {.family = Family::kString, .ignore_case = true}},
    Named{"StringNotEqualsIgnoreCase",
          {.family = Family::kString, .negated = true, .ignore_case = true}},
    Named{"StringLike", {.family = Family::kString, .wildcards = true}},
    Named{"StringNotLike", {.family = Family::kString, .negated = true, .wildcards = true}},
    Named{"ArnEquals", {.family = Family::kArn}},
    Named{"ArnLike", {.family = Family::kArn}},
    Named{"ArnNotEquals", {.family = Family::kArn, .negated = true}},
    Named{"ArnNotLike", {.family = Family::kArn, .negated = true}},
    Named{"IpAddress", {.family = Family::kAddress}},
    Named{"NotIpAddress", {.family = Family::kAddress, .negated = true}},
    Named{"Bool", {.family = Family::kBool}},
    Named{"Null", {.family = Family::kNull}},
    Named{"NumericEquals", {.family = Family::kNumber}},
    Named{"NumericNotEquals", {.family = Family::kNumber, .negated = true}},
    Named{"NumericLessThan", {.family = Family::kNumber, .comparison = Comparison::kLess}},
    Named{"NumericLessThanEquals",
          {.family = Family::kNumber, .comparison = Comparison::kLessEqual}},
    Named{"NumericGreaterThan", {.family = Family::kNumber, .comparison = Comparison::kGreater}},
    Named{"NumericGreaterThanEquals",
          {.family = Family::kNumber, .comparison = Comparison::kGreaterEqual}},
    Named{"DateEquals", {.family = Family::kDate}},
    Named{"DateNotEquals", {.family = Family::kDate, .negated = true}},
    Named{"DateLessThan", {.family = Family::kDate, .comparison = Comparison::kLess}},
    Named{"DateLessThanEquals", {.family = Family::kDate, .comparison = Comparison::kLessEqual}},
    Named{"DateGreaterThan", {.family = Family::kDate, .comparison = Comparison::kGreater}},
    Named{"DateGreaterThanEquals",
          {.family = Family::kDate, .comparison = Comparison::kGreaterEqual}},
};

constexpr std::string_view kIfExists = "IfExists";

const Named* Find(std::string_view name) {
  const auto* found = std::find_if(kOperators.begin(), kOperators.end(),
                                   [&](const Named& named) { return named.name == name; });
  return found == kOperators.end() ? nullptr : found;
}

bool Fits(Family family, KeyType type) {
  switch (family) {
    case Family::kString:
      return type != KeyType::kDate && type != KeyType::kNumber;
    case Family::kArn:
      return type == KeyType::kArn;
    case Family::kAddress:
      return type == KeyType::kAddress;
    case Family::kBool:
      return type == KeyType::kBool;
    case Family::kNumber:
      return type == KeyType::kNumber;
    case Family::kDate:
      return type == KeyType::kDate || type == KeyType::kNumber;
    case Family::kNull:
      return true;
  }
  return false;
}

std::string_view OperatorsFor(KeyType type) {
  switch (type) {
    case KeyType::kString:
      return "StringEquals, StringLike and their like";
    case KeyType::kStrings:
      return "ForAnyValue:StringLike, ForAllValues:StringLike and their like";
    case KeyType::kBool:
      return "Bool";
    case KeyType::kAddress:
      return "IpAddress or NotIpAddress";
    case KeyType::kArn:
      return "ArnLike or ArnNotLike, or the String operators";
    case KeyType::kDate:
      return "DateLessThan and its like";
    case KeyType::kNumber:
      return "NumericLessThan, DateLessThan and their like";
  }
  return "";
}

}  // namespace

Result<Operator> ParseOperator(std::string_view name) {
  std::string_view base = name;
  Operator op;
  for (auto [prefix, quantifier] : {std::pair("ForAnyValue:", Quantifier::kForAny),
                                    std::pair("ForAllValues:", Quantifier::kForAll)}) {
    if (!base.starts_with(prefix)) continue;
    base.remove_prefix(std::string_view(prefix).size());
    op.quantifier = quantifier;
    break;
  }
  if (base.ends_with(kIfExists)) {
    op.if_exists = true;
    base.remove_suffix(kIfExists.size());
  }
  const Named* named = Find(base);
  if (named == nullptr) {
    std::string message = "is no condition operator";
    for (const Named& other : kOperators) {
      if (EqualIgnoringCase(other.name, base)) message.append("; write ").append(other.name);
    }
    if (base == "BinaryEquals") message += ": no condition key has binary values";
    return Error(Code::kInvalid, message);
  }
  if (named->op.family == Family::kNull && (op.if_exists || op.quantifier != Quantifier::kNone)) {
    return Error(Code::kInvalid,
                 "is no condition operator: Null asks itself whether the key is there; write Null");
  }
  Operator result = named->op;
  result.quantifier = op.quantifier;
  result.if_exists = op.if_exists;
  return result;
}

Result<void> CheckFits(const Operator& op, std::string_view op_name, Key key) {
  const KeyInfo& info = Info(key);
  bool plain = op.quantifier == Quantifier::kNone && op.family != Family::kNull;
  if (Fits(op.family, info.type) && !(info.type == KeyType::kStrings && plain)) return Ok();
  std::string message(op_name);
  message.append(" cannot be asked of ").append(info.name).append("; use ");
  return Error(Code::kInvalid, message.append(OperatorsFor(info.type)));
}

}  // namespace tarn::policy
