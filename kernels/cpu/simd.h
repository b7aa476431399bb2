// Vector building blocks for 8x8 blocks.
#pragma once

#include <cstdint>

// Compiled once per instruction set and chosen when the library loads. No variant may contract
// a * b + c (see CMakeLists.txt), so all of them give the same bits. Sanitizers cannot run the
// chooser, which runs before they are ready.
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__linux__) && \
    !defined(JPEGRT_SANITIZE)
#define JPEGRT_MULTIVERSIONED __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define JPEGRT_MULTIVERSIONED
#endif

#define JPEGRT_INLINE __attribute__((always_inline)) inline

namespace jpegrt {

// Eight floats: one row of a block. GCC and Clang lower it to whatever the target has.
typedef float Float8 __attribute__((vector_size(32), aligned(4), may_alias));
typedef int16_t Short8 __attribute__((vector_size(16), aligned(2), may_alias));

// Exchanges the off-diagonal parts of an 8x8 matrix at distances 1, 2 and 4.
template <typename Vector8>
JPEGRT_INLINE void Transpose(Vector8 m[8]) {
  for (int i = 0; i < 8; i += 2) {
    const Vector8 a = m[i], b = m[i + 1];
    m[i] = __builtin_shufflevector(a, b, 0, 8, 2, 10, 4, 12, 6, 14);
    m[i + 1] = __builtin_shufflevector(a, b, 1, 9, 3, 11, 5, 13, 7, 15);
  }
  for (int pair = 0; pair < 4; ++pair) {
    const int i = pair % 2 + 4 * (pair / 2);
    const Vector8 a = m[i], b = m[i + 2];
    m[i] = __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13);
    m[i + 2] = __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15);
  }
  for (int i = 0; i < 4; ++i) {
    const Vector8 a = m[i], b = m[i + 4];
    m[i] = __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11);
    m[i + 4] = __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15);
  }
}

}  // namespace jpegrt
