// Is this build one with a sanitizer, in which everything takes several times as long and as much
// memory? For tests that measure or wait.
#pragma once

namespace tarn {

#if defined(__has_feature)  // clang; gcc 12 has none, but macros
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TARN_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(TARN_SANITIZED)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

// What a test that waits gives something more time by.
inline constexpr int kSlowness = kSanitized ? 10 : 1;

}  // namespace tarn
