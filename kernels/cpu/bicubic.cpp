#include "bicubic.h"

#include <algorithm>
#include <cmath>

#include "simd.h"

namespace jpegrt {
namespace {

// Where a value of the enlarged plane lies: between samples first + 1 and first + 2 of four.
struct Taps {
  int64_t first;
  float weight[4];
};

// Keys' kernel at distance d, from 0 to 2.
double Cubic(double d) {
  return d < 1 ? (1.5 * d - 2.5) * d * d + 1 : ((-0.5 * d + 2.5) * d - 4) * d + 2;
}

Taps TapsAt(uint32_t position, uint32_t factor) {
  const double centre = (position + 0.5) / factor - 0.5;
  const double below = std::floor(centre);
  Taps taps = {static_cast<int64_t>(below) - 1, {}};
  for (int k = 0; k < 4; ++k)
    taps.weight[k] = static_cast<float>(Cubic(std::abs(centre - (below - 1 + k))));
  return taps;
}

size_t Inside(int64_t position, uint32_t size) {
  return static_cast<size_t>(std::clamp<int64_t>(position, 0, size - 1));
}

JPEGRT_INLINE float Sum(const float weight[4], float a, float b, float c, float d) {
  return weight[0] * a + weight[1] * b + weight[2] * c + weight[3] * d;
}

}  // namespace

void BicubicRow(const PlaneView& in, uint32_t factor, uint32_t y, float* scratch, float* out) {
  const Taps down = TapsAt(y, factor);
  const float* rows[4];
  for (int k = 0; k < 4; ++k) rows[k] = in.data + Inside(down.first + k, in.height) * in.width;
  for (uint32_t x = 0; x < in.width; ++x)
    scratch[x] = Sum(down.weight, rows[0][x], rows[1][x], rows[2][x], rows[3][x]);
  for (uint32_t phase = 0; phase < factor; ++phase) {
    const Taps across = TapsAt(phase, factor);  // of the first sample; the others' are as far off
    for (uint32_t x = 0; x < in.width; ++x) {
      const auto at = [&](int k) { return scratch[Inside(across.first + x + k, in.width)]; };
      out[static_cast<size_t>(x) * factor + phase] = Sum(across.weight, at(0), at(1), at(2), at(3));
    }
  }
}

}  // namespace jpegrt
