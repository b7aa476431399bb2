// The 8x8 inverse DCT as libjpeg's default ("islow") computes it: integers with 13 fractional bits,
// rounded after each of its two passes. Plain decoding uses it so that its samples equal those of
// any other decoder; what networks are given comes from the more exact inverse_dct.h.
#pragma once

#include <cstdint>

#include "simd.h"

namespace jpegrt {

// Unsigned, because sums of hostile coefficients wrap around.
typedef uint32_t Word8 __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t Int32x8 __attribute__((vector_size(32), aligned(4), may_alias));

// Eight one-dimensional transforms, one per lane, scaled by sqrt(8) * 2^13 and shifted down with
// rounding. libjpeg's factors are rounded to 13 bits before they are combined, which is why
// pairs that should be equal differ by one.
JPEGRT_INLINE void IslowDct1d(Word8 rows[8], int shift) {
  const auto factor = [](int32_t value) { return static_cast<uint32_t>(value); };
  const Word8 s1 = rows[1], s2 = rows[2], s3 = rows[3], s5 = rows[5], s6 = rows[6], s7 = rows[7];

  const Word8 sum = (rows[0] + rows[4]) << 13, difference = (rows[0] - rows[4]) << 13;
  const Word8 outer = s2 * factor(10703) + s6 * factor(4433);
  const Word8 inner = s2 * factor(4433) + s6 * factor(-10704);
  const Word8 half = Word8{} + (1u << (shift - 1));
  const Word8 even0 = sum + outer + half, even3 = sum - outer + half;
  const Word8 even1 = difference + inner + half, even2 = difference - inner + half;

  const Word8 odd0 = s1 * factor(11363) + s3 * factor(9633) + s5 * factor(6437) + s7 * factor(2260);
  const Word8 odd1 =
      s1 * factor(9633) + s3 * factor(-2259) + s5 * factor(-11362) + s7 * factor(-6436);
  const Word8 odd2 =
      s1 * factor(6437) + s3 * factor(-11362) + s5 * factor(2261) + s7 * factor(9633);
  const Word8 odd3 =
      s1 * factor(2260) + s3 * factor(-6436) + s5 * factor(9633) + s7 * factor(-11363);

  const auto descale = [shift](Word8 x) { return (Word8)((Int32x8)x >> shift); };
  rows[0] = descale(even0 + odd0), rows[7] = descale(even0 - odd0);
  rows[1] = descale(even1 + odd1), rows[6] = descale(even1 - odd1);
  rows[2] = descale(even2 + odd2), rows[5] = descale(even2 - odd2);
  rows[3] = descale(even3 + odd3), rows[4] = descale(even3 - odd3);
}

}  // namespace jpegrt
