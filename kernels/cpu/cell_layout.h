// A block's samples in pixel cells: sample (x, y) is in plane (y % height) * W + x % W, at column x
// / W and row y / height. `cells` is where the block's first sample lies, `pitch` and `plane` are
// as in unpack.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "simd.h"

namespace jpegrt {

template <int W>
JPEGRT_INLINE void StoreCells(const Float8 rows[8], uint32_t height, float* cells, size_t pitch,
                              size_t plane) {
  for (uint32_t y = 0; y < 8; ++y) {
    float* row = cells + (y % height) * W * plane + (y / height) * pitch;
    if constexpr (W == 2) {  // the common case; GCC does not see it in the general loop
      const auto even = __builtin_shufflevector(rows[y], rows[y], 0, 2, 4, 6);
      const auto odd = __builtin_shufflevector(rows[y], rows[y], 1, 3, 5, 7);
      std::memcpy(row, &even, sizeof even);
      std::memcpy(row + plane, &odd, sizeof odd);
    } else {
      for (int dx = 0; dx < W; ++dx)
        for (int x = 0; x < 8 / W; ++x) row[dx * plane + x] = rows[y][x * W + dx];
    }
  }
}

template <int W>
JPEGRT_INLINE void LoadCells(const float* cells, uint32_t height, size_t pitch, size_t plane,
                             Float8 rows[8]) {
  for (uint32_t y = 0; y < 8; ++y) {
    const float* row = cells + (y % height) * W * plane + (y / height) * pitch;
    if constexpr (W == 2) {
      typedef float Float4 __attribute__((vector_size(16)));
      Float4 even, odd;
      std::memcpy(&even, row, sizeof even);
      std::memcpy(&odd, row + plane, sizeof odd);
      rows[y] = __builtin_shufflevector(even, odd, 0, 4, 1, 5, 2, 6, 3, 7);
    } else {
      for (int dx = 0; dx < W; ++dx)
        for (int x = 0; x < 8 / W; ++x) rows[y][x * W + dx] = row[dx * plane + x];
    }
  }
}

}  // namespace jpegrt
