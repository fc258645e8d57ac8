// Is this build one with a sanitizer, in which everything takes several times as long and as much
// memory? For tests that measure or wait.
#pragma once

namespace tarn {

#if defined(__has_feature)  // clang; gcc 12 has none, but macros
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TARN_SANITIZED 1
#endif
#endif
#if !defined(TARN_SANITIZED)
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TARN_SANITIZED 1
#else
#define TARN_SANITIZED 0  // for tests that cannot be with one: a test that is skipped is a failure
#endif
#endif
inline constexpr bool kSanitized = TARN_SANITIZED != 0;

// What a test that waits gives something more time by.
inline constexpr int kSlowness = kSanitized ? 10 : 1;

}  // namespace tarn
