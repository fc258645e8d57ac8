#include "server/policy/json.h"

#include <algorithm>
#include <set>
#include <vector>

namespace tarn::policy {
namespace {

using Json = nlohmann::json;

// An error travels in the headers of a gRPC answer.
constexpr size_t kMessageBytesMax = 1'000;

// Reads the document once for what a tree of it no longer shows.
class Checker : public nlohmann::json_sax<Json> {
 public:
  std::string path, problem;

  bool null() override { return Value(); }
  bool boolean(bool) override { return Value(); }
  bool number_integer(number_integer_t) override { return Value(); }
  bool number_unsigned(number_unsigned_t) override { return Value(); }
  bool number_float(number_float_t, const string_t&) override { return Value(); }
  bool string(string_t&) override { return Value(); }
  bool binary(binary_t&) override { return Value(); }
  bool start_object(size_t) override { return Open(false); }
  bool start_array(size_t) override { return Open(true); }
  bool end_object() override { return Close(); }
  bool end_array() override { return Close(); }

  bool key(string_t& name) override {
    if (!levels_.back().keys.insert(name).second) {
      problem = "the element '" + name + "' stands here twice: leave one";
      path = Here();
      return false;
    }
    levels_.back().name = name;
    return true;
  }

  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception& e) override {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: …"
    std::string_view what = e.what();
    if (size_t end = what.find("] "); end != what.npos) what.remove_prefix(end + 2);
    problem = "is no JSON: " + std::string(what);
    // It quotes the document, whose bytes may be anything.
    std::replace_if(
        problem.begin(), problem.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
    return false;
  }

 private:
  struct Level {
    bool array = false;
    size_t index = 0;
    std::string name;
    std::set<std::string> keys;
  };

  std::string Here() const {
    std::string here;
    for (size_t i = 0; i + 1 < levels_.size(); ++i) {
      const Level& level = levels_[i];
      here = level.array ? Below(here, level.index) : Below(here, level.name);
    }
    return here;
  }
  bool Open(bool array) {
    levels_.push_back({.array = array, .index = 0, .name = {}, .keys = {}});
    if (levels_.size() <= kDepthMax) return true;
    path = Here();
    problem = "is nested deeper than a policy can be";
    return false;
  }
  bool Close() {
    levels_.pop_back();
    return Value();
  }
  bool Value() {
    if (!levels_.empty()) ++levels_.back().index;
    return true;
  }

  std::vector<Level> levels_;
};

bool IsWord(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  });
}

}  // namespace

Error InvalidPolicy(std::string_view path, std::string_view what) {
  std::string message = "policy: ";
  if (!path.empty()) message.append(path).append(": ");
  message.append(what);
  if (message.size() > kMessageBytesMax) {
    size_t end = kMessageBytesMax;
    while ((static_cast<uint8_t>(message[end]) & 0xc0) == 0x80) --end;  // within a character
    message.resize(end);
    message += "...";
  }
  return {Code::kInvalid, std::move(message), "InvalidPolicyException"};
}

std::string Below(std::string_view path, std::string_view name) {
  std::string below(path);
  if (!IsWord(name)) return below.append("[\"").append(name).append("\"]");
  if (!below.empty()) below += '.';
  return below.append(name);
}

std::string Below(std::string_view path, size_t index) {
  return std::string(path).append("[").append(std::to_string(index)).append("]");
}

Result<Json> ParseJson(std::string_view text) {
  Checker checker;
  if (!Json::sax_parse(text.begin(), text.end(), &checker)) {
    return InvalidPolicy(checker.path, checker.problem);
  }
  Json json = Json::parse(text.begin(), text.end(), nullptr, false);
  if (json.is_discarded()) return InvalidPolicy("", "is no JSON");
  return json;
}

}  // namespace tarn::policy
