// Pattern: a text of a policy that values of requests are compared with.
//
// `*` stands for any characters, also none and also '/' and ':'; `?` for one. In policies of
// version 2012-10-17 `${key}` stands for the request's value of a condition key, taken as it is
// (a '*' in it is no wildcard), `${key, 'text'}` for `text` where the key is absent, and `${*}`,
// `${?}`, `${$}` for these three characters.
//
// Immutable; matching allocates nothing, and takes at most the product of both lengths.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "server/policy/keys.h"

namespace tarn::policy {

struct PatternSyntax {
  bool wildcards = true;
  bool variables = true;
  bool ignore_case = false;  // of ASCII letters
};

class Pattern {
 public:
  // An error says what is wrong with a variable; its message has no path.
  static Result<Pattern> Parse(std::string_view text, const PatternSyntax& syntax);

  // False too when a variable's key is absent from the request.
  bool Matches(std::string_view text, const Request& request) const;

  bool has_variables() const { return has_variables_; }

 private:
  enum class Kind : uint8_t { kText, kOne, kMany, kVariable };
  struct Unit {
    Kind kind = Kind::kText;
    Key key{};                 // kVariable
    bool has_default = false;  // kVariable: `text` is it
    std::string text;
  };
  static Result<Unit> ParseVariable(std::string_view inside);
  void AddText(std::string_view text);
  // How many bytes of `text` this unit takes at its beginning; npos: it does not match there, or
  // never.
  size_t Take(const Unit& unit, std::string_view text, const Request& request) const;

  std::vector<Unit> units_;
  bool ignore_case_ = false;
  bool has_variables_ = false;
};

}  // namespace tarn::policy
