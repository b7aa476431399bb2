// The 8x8 forward DCT (JPEG, ITU-T T.81, A.3.3) in float32: the transpose of inverse_dct.h.
#pragma once

#include "simd.h"

namespace jpegrt {

// Eight one-dimensional forward DCTs at once, one per lane, from rows[sample] to rows[frequency],
// scaled by sqrt(8): the DC path only adds.
JPEGRT_INLINE void ForwardDct1d(Float8 rows[8]) {
  constexpr float c1 = 1.3870398453221475f;   // sqrt(2) cos(1 pi / 16)
  constexpr float c2 = 1.3065629648763766f;   // sqrt(2) cos(2 pi / 16)
  constexpr float c3 = 1.1758756024193588f;   // sqrt(2) cos(3 pi / 16)
  constexpr float c5 = 0.78569495838710218f;  // sqrt(2) cos(5 pi / 16)
  constexpr float c6 = 0.54119610014619698f;  // sqrt(2) cos(6 pi / 16)
  constexpr float c7 = 0.27589937928294311f;  // sqrt(2) cos(7 pi / 16)

  const Float8 s0 = rows[0] + rows[7], d0 = rows[0] - rows[7];
  const Float8 s1 = rows[1] + rows[6], d1 = rows[1] - rows[6];
  const Float8 s2 = rows[2] + rows[5], d2 = rows[2] - rows[5];
  const Float8 s3 = rows[3] + rows[4], d3 = rows[3] - rows[4];

  const Float8 outer_sum = s0 + s3, outer_difference = s0 - s3;
  const Float8 inner_sum = s1 + s2, inner_difference = s1 - s2;
  rows[0] = outer_sum + inner_sum;
  rows[4] = outer_sum - inner_sum;
  rows[2] = c2 * outer_difference + c6 * inner_difference;
  rows[6] = c6 * outer_difference - c2 * inner_difference;

  rows[1] = c1 * d0 + c3 * d1 + c5 * d2 + c7 * d3;
  rows[3] = c3 * d0 - c7 * d1 - c1 * d2 - c5 * d3;
  rows[5] = c5 * d0 - c1 * d1 + c7 * d2 + c3 * d3;
  rows[7] = c7 * d0 - c5 * d1 + c3 * d2 - c1 * d3;
}

// Samples rows[y] lane x -> rows[v] lane u, coefficients times 8.
JPEGRT_INLINE void ForwardDct(Float8 rows[8]) {
  ForwardDct1d(rows);
  Transpose(rows);
  ForwardDct1d(rows);
  Transpose(rows);
}

}  // namespace jpegrt
