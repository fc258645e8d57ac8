#include "server/policy/condition.h"

#include <algorithm>

#include "server/policy/values.h"

namespace tarn::policy {
namespace {

using Family = Operator::Family;
using Quantifier = Operator::Quantifier;
using Comparison = Operator::Comparison;

// Any of `all` that `test` holds for.
template <typename Values, typename Test>
bool Any(const Values& all, Test test) {
  return std::any_of(all.begin(), all.end(), test);
}

}  // namespace

Result<ArnPattern> ArnPattern::Parse(std::string_view text, bool variables) {
  PatternSyntax syntax{.wildcards = true, .variables = variables};
  ArnPattern pattern;
  if (text == "*") {
    TRY(Pattern any, Pattern::Parse(text, syntax));
    pattern.parts_.push_back(std::move(any));
    return pattern;
  }
  auto parts = SplitArn(text);
  if (!parts || (*parts)[0] != "arn") {
    return Error(Code::kInvalid, "'" + std::string(text) +
                                     "' is no ARN: write arn:aws:elasticfilesystem:REGION:ACCOUNT:"
                                     "access-point/ID, with * for what does not matter");
  }
  for (std::string_view part : *parts) {
    TRY(Pattern parsed, Pattern::Parse(part, syntax));
    pattern.parts_.push_back(std::move(parsed));
  }
  return pattern;
}

bool ArnPattern::Matches(std::string_view arn, const Request& request) const {
  auto parts = SplitArn(arn);
  if (!parts) return false;
  if (parts_.size() == 1) return true;
  for (size_t i = 0; i < kArnParts; ++i) {
    if (!parts_[i].Matches((*parts)[i], request)) return false;
  }
  return true;
}

std::variant<Condition, Condition::Failure> Condition::Make(const Operator& op, Key key,
                                                            const std::vector<std::string>& values,
                                                            bool variables) {
  Condition condition;
  condition.op_ = op;
  condition.key_ = key;
  PatternSyntax syntax{
      .wildcards = op.wildcards, .variables = variables, .ignore_case = op.ignore_case};
  // Parses each value by `parse` into the list that it makes.
  auto each = [&](auto parse) -> std::variant<Condition, Failure> {
    std::vector<std::decay_t<decltype(parse(values[0]).value())>> parsed;
    for (size_t i = 0; i < values.size(); ++i) {
      auto one = parse(values[i]);
      if (!one.ok()) return Failure{static_cast<int>(i), one.error().message()};
      parsed.push_back(std::move(one).value());
    }
    condition.values_ = std::move(parsed);
    return std::move(condition);
  };
  switch (op.family) {
    case Family::kString:
      return each([&](const std::string& v) { return Pattern::Parse(v, syntax); });
    case Family::kArn:
      return each([&](const std::string& v) { return ArnPattern::Parse(v, variables); });
    case Family::kAddress:
      return each([](const std::string& v) { return ParseRange(v); });
    case Family::kNumber:
      return each([](const std::string& v) { return ParseNumber(v); });
    case Family::kDate:
      return each([](const std::string& v) { return ParseDate(v); });
    case Family::kBool:
    case Family::kNull:
      break;
  }
  Bools bools{};
  for (size_t i = 0; i < values.size(); ++i) {
    auto value = ParseBool(values[i]);
    if (!value.ok()) return Failure{static_cast<int>(i), value.error().message()};
    bools[*value ? 1 : 0] = true;
  }
  condition.values_ = bools;
  return condition;
}

bool Condition::MatchesNumber(double value) const {
  return Any(std::get<std::vector<double>>(values_), [&](double wanted) {
    switch (op_.comparison) {
      case Comparison::kEqual:
        return value == wanted;
      case Comparison::kLess:
        return value < wanted;
      case Comparison::kLessEqual:
        return value <= wanted;
      case Comparison::kGreater:
        return value > wanted;
      case Comparison::kGreaterEqual:
        return value >= wanted;
    }
    return false;
  });
}

// Precondition: index < CountOf(key_, request).
bool Condition::Matches(const Request& request, size_t index) const {
  IpAddress::Buffer buffer;
  switch (op_.family) {
    case Family::kBool:
      return std::get<Bools>(values_)[BoolOf(key_, request) ? 1 : 0];
    case Family::kNumber:
    case Family::kDate:
      return MatchesNumber(static_cast<double>(request.now_seconds));
    case Family::kAddress:
      return Any(std::get<std::vector<IpRange>>(values_),
                 [&](const IpRange& range) { return range.Contains(*request.source_ip); });
    case Family::kString: {
      auto text = TextOf(key_, request, index, buffer);
      return text && Any(std::get<std::vector<Pattern>>(values_),
                         [&](const Pattern& p) { return p.Matches(*text, request); });
    }
    case Family::kArn: {
      auto text = TextOf(key_, request, index, buffer);
      return text && Any(std::get<std::vector<ArnPattern>>(values_),
                         [&](const ArnPattern& p) { return p.Matches(*text, request); });
    }
    case Family::kNull:
      break;
  }
  return false;
}

bool Condition::Holds(const Request& request) const {
  size_t count = CountOf(key_, request);
  if (op_.family == Family::kNull) return std::get<Bools>(values_)[count == 0 ? 1 : 0];
  if (count == 0) {
    if (op_.if_exists || op_.quantifier == Quantifier::kForAll) return true;
    return op_.negated && op_.quantifier == Quantifier::kNone;
  }
  bool all = op_.quantifier == Quantifier::kForAll;
  for (size_t i = 0; i < count; ++i) {
    bool passes = Matches(request, i) != op_.negated;
    if (passes != all) return passes;
  }
  return all;
}

}  // namespace tarn::policy
