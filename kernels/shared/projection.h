// The projection of a block's coefficients onto the intervals that quantise to the file's. All
// coefficients here are those of two passes of the forward DCT, which multiply by 8. Values may be
// scalars or vectors.
#pragma once

#include <cstdint>

#include "host_device.h"

namespace jpegrt {

// Beyond it, intervals of the largest steps would not be finite.
constexpr float kMaxProjectedScale = 0x1p64f;

// A block with a coefficient beyond it becomes the file's: the sums of the inverse DCT, 56 times
// as much at most, would not be finite.
constexpr float kMaxProjectedCoefficient = 0x1p120f;

// Two passes of the inverse DCT multiply by 8 too; this takes both back, without rounding.
constexpr float kProjectedSampleGain = 1 / 64.f;

// A quantisation step, of samples that are multiplied by `scale`.
JPEGRT_SHARED float ProjectionStep(uint16_t step, float scale) {
  return static_cast<float>(step) * scale * 8;
}

// By how much the coefficient has to change to be at most half_width steps from the file's,
// `quantised`.
template <typename Real>
JPEGRT_SHARED Real ChangeIntoInterval(const Real& coefficient, const Real& quantised,
                                      const Real& step, float half_width) {
  const Real low = (quantised - half_width) * step, high = (quantised + half_width) * step;
  const Real raised = coefficient < low ? low : coefficient;
  return (raised > high ? high : raised) - coefficient;
}

// Whether it is small enough to be projected; NaN is not. Of vectors, for each lane.
template <typename Real>
JPEGRT_SHARED auto IsProjectable(const Real& coefficient) {
  return (coefficient >= -kMaxProjectedCoefficient) & (coefficient <= kMaxProjectedCoefficient);
}

}  // namespace jpegrt
