// Whether a border between two blocks stands out; kernels/README.md has the rule.
#pragma once

#include <cmath>
#include <cstdint>

#include "host_device.h"

namespace jpegrt {

// Absolute steps from pixel to pixel across a border, added up over the samples along it, which
// every device does in the same order.
struct BorderSteps {
  double before = 0, across = 0, after = 0;

  // The two pixels on this side of the border, and the two on the other.
  JPEGRT_SHARED void Add(double a, double b, double d, double e) {
    before += std::fabs(b - a), across += std::fabs(d - b), after += std::fabs(e - d);
  }

  JPEGRT_SHARED bool StandOut(uint64_t samples, float ratio, float least_step) const {
    return across >= least_step * static_cast<double>(samples) && across > ratio * before &&
           across > ratio * after;
  }
};

}  // namespace jpegrt
