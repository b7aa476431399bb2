// Enlarging a plane by a whole factor: cubic convolution (Keys, 1981) with a = -1/2, pixel centres
// on pixel centres, the nearest samples beyond the edges.
#pragma once

#include <cstddef>
#include <cstdint>

namespace jpegrt {

struct PlaneView {
  const float* data;  // rows of `width`, one after another
  uint32_t width, height;
};

// Row `y` of the enlarged plane, factor * width values; `scratch` has room for `width`. A factor of
// 1 copies.
void BicubicRow(const PlaneView& in, uint32_t factor, uint32_t y, float* scratch, float* out);

}  // namespace jpegrt
