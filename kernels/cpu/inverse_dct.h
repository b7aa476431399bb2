// The 8x8 inverse DCT (JPEG, ITU-T T.81, A.3.3) in float32.
#pragma once

#include <cstdint>

#include "simd.h"

namespace jpegrt {

// Eight one-dimensional inverse DCTs at once, one per lane, from rows[frequency] to rows[sample],
// scaled by sqrt(8). With that scale the DC path only adds, so a flat block comes out exact.
JPEGRT_INLINE void InverseDct1d(Float8 rows[8]) {
  constexpr float c1 = 1.3870398453221475f;   // sqrt(2) cos(1 pi / 16)
  constexpr float c2 = 1.3065629648763766f;   // sqrt(2) cos(2 pi / 16)
  constexpr float c3 = 1.1758756024193588f;   // sqrt(2) cos(3 pi / 16)
  constexpr float c5 = 0.78569495838710218f;  // sqrt(2) cos(5 pi / 16)
  constexpr float c6 = 0.54119610014619698f;  // sqrt(2) cos(6 pi / 16)
  constexpr float c7 = 0.27589937928294311f;  // sqrt(2) cos(7 pi / 16)

  const Float8 even_sum = rows[0] + rows[4], even_difference = rows[0] - rows[4];
  const Float8 outer = c2 * rows[2] + c6 * rows[6], inner = c6 * rows[2] - c2 * rows[6];
  const Float8 even0 = even_sum + outer, even3 = even_sum - outer;
  const Float8 even1 = even_difference + inner, even2 = even_difference - inner;

  const Float8 s1 = rows[1], s3 = rows[3], s5 = rows[5], s7 = rows[7];
  const Float8 odd0 = c1 * s1 + c3 * s3 + c5 * s5 + c7 * s7;
  const Float8 odd1 = c3 * s1 - c7 * s3 - c1 * s5 - c5 * s7;
  const Float8 odd2 = c5 * s1 - c1 * s3 + c7 * s5 + c3 * s7;
  const Float8 odd3 = c7 * s1 - c5 * s3 + c3 * s5 - c1 * s7;

  rows[0] = even0 + odd0, rows[7] = even0 - odd0;
  rows[1] = even1 + odd1, rows[6] = even1 - odd1;
  rows[2] = even2 + odd2, rows[5] = even2 - odd2;
  rows[3] = even3 + odd3, rows[4] = even3 - odd3;
}

// Dequantised rows[v] lane u -> rows[y] lane x, centred samples times 8.
JPEGRT_INLINE void InverseDct(Float8 rows[8]) {
  InverseDct1d(rows);
  Transpose(rows);
  InverseDct1d(rows);
  Transpose(rows);
}

JPEGRT_INLINE void Dequantise(const int16_t block[64], const float steps[64], Float8 rows[8]) {
  const auto* coefficients = reinterpret_cast<const Short8*>(block);
  const auto* step = reinterpret_cast<const Float8*>(steps);
  for (int v = 0; v < 8; ++v) rows[v] = __builtin_convertvector(coefficients[v], Float8) * step[v];
}

}  // namespace jpegrt
