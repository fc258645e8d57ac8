// Result<T>: a value or an Error. No exception crosses a module's edge; a function that can fail
// says so in its type.
//
//   Result<Inode> Find(InodeId id);
//   Result<void> Touch(InodeId id) {
//     TRY(Inode inode, Find(id));   // returns Find's error, or binds its value
//     TRY(Store(inode));            // the same for Result<void>
//     return Ok();
//   }
#pragma once

#include <cassert>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "common/error.h"

namespace tarn {

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value)
      : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT(google-explicit-constructor)
  Result(Error error)
      : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  // Precondition of the four below: ok().
  T& value() & { return check(), std::get<0>(state_); }
  const T& value() const& { return check(), std::get<0>(state_); }
  T&& value() && { return check(), std::get<0>(std::move(state_)); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }

  // Precondition: !ok().
  const Error& error() const& { return assert(!ok()), std::get<1>(state_); }
  Error&& error() && { return assert(!ok()), std::get<1>(std::move(state_)); }

  // The error's code, or Code::kOk.
  Code code() const { return ok() ? Code::kOk : error().code(); }

 private:
  void check() const { assert(ok()); }
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  const Error& error() const& { return assert(!ok()), *error_; }
  Error&& error() && { return assert(!ok()), *std::move(error_); }
  Code code() const { return ok() ? Code::kOk : error_->code(); }
  void value() const { assert(ok()); }

 private:
  std::optional<Error> error_;
};

inline Result<void> Ok() {
  return {};
}

}  // namespace tarn

// TRY(expr) returns expr's error from the enclosing function; TRY(T name, expr) binds its value as
// well.
#define TARN_TRY_CAT2(a, b) a##b
#define TARN_TRY_CAT(a, b) TARN_TRY_CAT2(a, b)
#define TARN_TRY_PICK(a, b, pick, ...) pick
#define TARN_TRY_DROP(result, expr)                     \
  do {                                                  \
    auto result = (expr);                               \
    if (!result.ok()) return std::move(result).error(); \
  } while (false)
#define TARN_TRY_BIND(result, declaration, expr)      \
  auto result = (expr);                               \
  if (!result.ok()) return std::move(result).error(); \
  declaration = std::move(result).value()
#define TARN_TRY_1(expr) TARN_TRY_DROP(TARN_TRY_CAT(try_result_, __LINE__), expr)
#define TARN_TRY_2(declaration, expr) \
  TARN_TRY_BIND(TARN_TRY_CAT(try_result_, __LINE__), declaration, expr)
#define TRY(...) TARN_TRY_PICK(__VA_ARGS__, TARN_TRY_2, TARN_TRY_1, )(__VA_ARGS__)
