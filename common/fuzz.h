// For *_fuzz.cc, the fuzzers of clang's libFuzzer: see docs/testing.md.
#pragma once

#include <cstdio>
#include <cstdlib>

// What must hold for every input.
#define FUZZ_REQUIRE(condition)                                                           \
  do {                                                                                    \
    if (!(condition)) {                                                                   \
      std::fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                       \
    }                                                                                     \
  } while (false)
