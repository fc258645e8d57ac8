#include "server/policy/pattern.h"

namespace tarn::policy {
namespace {

constexpr size_t kNo = std::string_view::npos;

Error Bad(std::string message) {
  return Error(Code::kInvalid, std::move(message));
}

// Bytes of the UTF-8 character that `text` begins with. Precondition: it is not empty.
size_t CharacterBytes(std::string_view text) {
  size_t bytes = 1;
  while (bytes < text.size() && (static_cast<uint8_t>(text[bytes]) & 0xc0) == 0x80) ++bytes;
  return bytes;
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

}  // namespace

Result<Pattern::Unit> Pattern::ParseVariable(std::string_view inside) {
  Unit unit;
  if (inside == "*" || inside == "?" || inside == "$") {
    unit.text = inside;
    return unit;
  }
  std::string_view name = Trim(inside.substr(0, inside.find(',')));
  auto key = FindKey(name);
  if (!key) {
    return Bad("the variable ${" + std::string(inside) +
               "} names no condition key; write ${$} for a '$', or use one of " + KeyNames());
  }
  KeyType type = Info(*key).type;
  if (type == KeyType::kStrings || type == KeyType::kDate || type == KeyType::kNumber) {
    return Bad(std::string(Info(*key).name) + " cannot be used as a variable: it has " +
               (type == KeyType::kStrings ? "several values" : "no text"));
  }
  unit.kind = Kind::kVariable;
  unit.key = *key;
  if (inside.find(',') == kNo) return unit;
  std::string_view fallback = Trim(inside.substr(inside.find(',') + 1));
  if (fallback.size() < 2 || fallback.front() != '\'' || fallback.back() != '\'') {
    return Bad("the default value in ${" + std::string(inside) +
               "} must stand in single quotes: ${" + std::string(name) + ", 'value'}");
  }
  unit.text = fallback.substr(1, fallback.size() - 2);
  unit.has_default = true;
  return unit;
}

void Pattern::AddText(std::string_view text) {
  if (units_.empty() || units_.back().kind != Kind::kText) units_.emplace_back();
  units_.back().text += text;
}

Result<Pattern> Pattern::Parse(std::string_view text, const PatternSyntax& syntax) {
  Pattern pattern;
  pattern.ignore_case_ = syntax.ignore_case;
  while (!text.empty()) {
    if (syntax.variables && text.starts_with("${")) {
      size_t end = text.find('}');
      if (end == kNo) return Bad("a variable begins with ${ and has no }; write ${$} for a '$'");
      TRY(Unit unit, ParseVariable(text.substr(2, end - 2)));
      text.remove_prefix(end + 1);
      if (unit.kind == Kind::kText) {
        pattern.AddText(unit.text);
      } else {
        pattern.has_variables_ = true;
        pattern.units_.push_back(std::move(unit));
      }
      continue;
    }
    char c = text.front();
    if (syntax.wildcards && (c == '*' || c == '?')) {
      Kind kind = c == '*' ? Kind::kMany : Kind::kOne;
      bool repeats = kind == Kind::kMany && !pattern.units_.empty() &&
                     pattern.units_.back().kind == Kind::kMany;
      if (!repeats) pattern.units_.emplace_back().kind = kind;
    } else {
      pattern.AddText(text.substr(0, 1));
    }
    text.remove_prefix(1);
  }
  return pattern;
}

size_t Pattern::Take(const Unit& unit, std::string_view text, const Request& request) const {
  if (unit.kind == Kind::kOne) return text.empty() ? kNo : CharacterBytes(text);
  std::string_view wanted = unit.text;
  IpAddress::Buffer buffer;
  if (unit.kind == Kind::kVariable) {
    auto value = TextOf(unit.key, request, 0, buffer);
    if (!value && !unit.has_default) return kNo;
    if (value) wanted = *value;
  }
  std::string_view there = text.substr(0, wanted.size());
  bool same = ignore_case_ ? EqualIgnoringCase(there, wanted) : there == wanted;
  return same ? wanted.size() : kNo;
}

bool Pattern::Matches(std::string_view text, const Request& request) const {
  // Only the last '*' ever has to take more: what comes before it matches already, as early as it
  // can.
  size_t unit = 0, at = 0;
  size_t many = kNo, many_end = 0;  // the last '*', and where in `text` it ends now
  for (;;) {
    size_t taken = kNo;
    if (unit < units_.size() && units_[unit].kind == Kind::kMany) {
      many = unit++;
      many_end = at;
      continue;
    }
    if (unit < units_.size()) taken = Take(units_[unit], text.substr(at), request);
    if (unit == units_.size() && at == text.size()) return true;
    if (taken != kNo) {
      at += taken;
      ++unit;
      continue;
    }
    if (many == kNo || many_end == text.size()) return false;
    many_end += CharacterBytes(text.substr(many_end));
    at = many_end;
    unit = many + 1;
  }
}

}  // namespace tarn::policy
