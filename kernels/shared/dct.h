// One-dimensional DCTs of eight values (JPEG, ITU-T T.81, A.3.3), in place. The values may be
// scalars, or vectors that transform one column in each lane.
#pragma once

#include <cstdint>

#include "host_device.h"

namespace jpegrt {

// kDctCosine<k> is sqrt(2) cos(k pi / 16). Both directions are scaled by sqrt(8): the DC path then
// only adds, so a flat block comes out exact.
constexpr float kDctCosine1 = 1.3870398453221475f, kDctCosine2 = 1.3065629648763766f;
constexpr float kDctCosine3 = 1.1758756024193588f, kDctCosine5 = 0.78569495838710218f;
constexpr float kDctCosine6 = 0.54119610014619698f, kDctCosine7 = 0.27589937928294311f;

// In float32, from values[sample] to values[frequency]: the transpose of the inverse.
template <typename Real>
JPEGRT_SHARED void ForwardDct1d(Real values[8]) {
  constexpr float c1 = kDctCosine1, c2 = kDctCosine2, c3 = kDctCosine3;
  constexpr float c5 = kDctCosine5, c6 = kDctCosine6, c7 = kDctCosine7;

  const Real s0 = values[0] + values[7], d0 = values[0] - values[7];
  const Real s1 = values[1] + values[6], d1 = values[1] - values[6];
  const Real s2 = values[2] + values[5], d2 = values[2] - values[5];
  const Real s3 = values[3] + values[4], d3 = values[3] - values[4];

  const Real outer_sum = s0 + s3, outer_difference = s0 - s3;
  const Real inner_sum = s1 + s2, inner_difference = s1 - s2;
  values[0] = outer_sum + inner_sum;
  values[4] = outer_sum - inner_sum;
  values[2] = c2 * outer_difference + c6 * inner_difference;
  values[6] = c6 * outer_difference - c2 * inner_difference;

  values[1] = c1 * d0 + c3 * d1 + c5 * d2 + c7 * d3;
  values[3] = c3 * d0 - c7 * d1 - c1 * d2 - c5 * d3;
  values[5] = c5 * d0 - c1 * d1 + c7 * d2 + c3 * d3;
  values[7] = c7 * d0 - c5 * d1 + c3 * d2 - c1 * d3;
}

// In float32, from values[frequency] to values[sample].
template <typename Real>
JPEGRT_SHARED void InverseDct1d(Real values[8]) {
  constexpr float c1 = kDctCosine1, c2 = kDctCosine2, c3 = kDctCosine3;
  constexpr float c5 = kDctCosine5, c6 = kDctCosine6, c7 = kDctCosine7;

  const Real even_sum = values[0] + values[4], even_difference = values[0] - values[4];
  const Real outer = c2 * values[2] + c6 * values[6], inner = c6 * values[2] - c2 * values[6];
  const Real even0 = even_sum + outer, even3 = even_sum - outer;
  const Real even1 = even_difference + inner, even2 = even_difference - inner;

  const Real s1 = values[1], s3 = values[3], s5 = values[5], s7 = values[7];
  const Real odd0 = c1 * s1 + c3 * s3 + c5 * s5 + c7 * s7;
  const Real odd1 = c3 * s1 - c7 * s3 - c1 * s5 - c5 * s7;
  const Real odd2 = c5 * s1 - c1 * s3 + c7 * s5 + c3 * s7;
  const Real odd3 = c7 * s1 - c5 * s3 + c3 * s5 - c1 * s7;

  values[0] = even0 + odd0, values[7] = even0 - odd0;
  values[1] = even1 + odd1, values[6] = even1 - odd1;
  values[2] = even2 + odd2, values[5] = even2 - odd2;
  values[3] = even3 + odd3, values[4] = even3 - odd3;
}

// As libjpeg's default ("islow") computes it: integers with 13 fractional bits, scaled by
// sqrt(8) * 2^13 and shifted down with rounding. libjpeg's factors are rounded to 13 bits before
// they are combined, which is why pairs that should be equal differ by one. Words are unsigned,
// because sums of hostile coefficients wrap around; Signed is the signed type of their width.
template <typename Signed, typename Word>
JPEGRT_SHARED void IslowDct1d(Word values[8], int shift) {
  const auto factor = [](int32_t value) { return static_cast<uint32_t>(value); };
  const Word s1 = values[1], s2 = values[2], s3 = values[3], s5 = values[5], s6 = values[6],
             s7 = values[7];

  const Word sum = (values[0] + values[4]) << 13, difference = (values[0] - values[4]) << 13;
  const Word outer = s2 * factor(10703) + s6 * factor(4433);
  const Word inner = s2 * factor(4433) + s6 * factor(-10704);
  const Word half = Word{} + (1u << (shift - 1));
  const Word even0 = sum + outer + half, even3 = sum - outer + half;
  const Word even1 = difference + inner + half, even2 = difference - inner + half;

  const Word odd0 = s1 * factor(11363) + s3 * factor(9633) + s5 * factor(6437) + s7 * factor(2260);
  const Word odd1 =
      s1 * factor(9633) + s3 * factor(-2259) + s5 * factor(-11362) + s7 * factor(-6436);
  const Word odd2 = s1 * factor(6437) + s3 * factor(-11362) + s5 * factor(2261) + s7 * factor(9633);
  const Word odd3 =
      s1 * factor(2260) + s3 * factor(-6436) + s5 * factor(9633) + s7 * factor(-11363);

  const auto descale = [shift](Word x) { return (Word)((Signed)x >> shift); };
  values[0] = descale(even0 + odd0), values[7] = descale(even0 - odd0);
  values[1] = descale(even1 + odd1), values[6] = descale(even1 - odd1);
  values[2] = descale(even2 + odd2), values[5] = descale(even2 - odd2);
  values[3] = descale(even3 + odd3), values[4] = descale(even3 - odd3);
}

// The shifts of its two passes: the first keeps 2 fractional bits, the second drops them and the 8
// of sqrt(8) twice.
constexpr int kIslowFirstShift = 11, kIslowSecondShift = 18;

JPEGRT_SHARED uint8_t LevelFromIslow(uint32_t sample) {
  const int32_t level = static_cast<int32_t>(sample + 128u);
  return static_cast<uint8_t>(level < 0 ? 0 : level > 255 ? 255 : level);
}

}  // namespace jpegrt
