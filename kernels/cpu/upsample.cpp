#include "upsample.h"

namespace jpegrt {
namespace {

// libjpeg's biases: rounding up and down alternate, so that the average does not drift.

void TriangleAcross(const uint8_t* in, uint32_t width, uint8_t* out) {
  out[0] = in[0];
  out[1] = static_cast<uint8_t>((3 * in[0] + in[1] + 2) >> 2);
  for (uint32_t x = 1; x + 1 < width; ++x) {
    out[2 * x] = static_cast<uint8_t>((3 * in[x] + in[x - 1] + 1) >> 2);
    out[2 * x + 1] = static_cast<uint8_t>((3 * in[x] + in[x + 1] + 2) >> 2);
  }
  const uint32_t last = width - 1;
  out[2 * last] = static_cast<uint8_t>((3 * in[last] + in[last - 1] + 1) >> 2);
  out[2 * last + 1] = in[last];
}

void TriangleDown(const uint8_t* near, const uint8_t* far, uint32_t width, int bias, uint8_t* out) {
  for (uint32_t x = 0; x < width; ++x)
    out[x] = static_cast<uint8_t>((3 * near[x] + far[x] + bias) >> 2);
}

void TriangleBoth(const uint8_t* near, const uint8_t* far, uint32_t width, uint8_t* out) {
  const auto sum = [&](uint32_t x) { return 3 * near[x] + far[x]; };
  const uint32_t last = width - 1;
  out[0] = static_cast<uint8_t>((4 * sum(0) + 8) >> 4);
  out[1] = static_cast<uint8_t>((3 * sum(0) + sum(1) + 7) >> 4);
  for (uint32_t x = 1; x < last; ++x) {
    out[2 * x] = static_cast<uint8_t>((3 * sum(x) + sum(x - 1) + 8) >> 4);
    out[2 * x + 1] = static_cast<uint8_t>((3 * sum(x) + sum(x + 1) + 7) >> 4);
  }
  out[2 * last] = static_cast<uint8_t>((3 * sum(last) + sum(last - 1) + 8) >> 4);
  out[2 * last + 1] = static_cast<uint8_t>((4 * sum(last) + 7) >> 4);
}

void Replicate(const uint8_t* in, uint32_t width, uint32_t h, uint8_t* out) {
  for (uint32_t x = 0; x < width; ++x)
    for (uint32_t i = 0; i < h; ++i) *out++ = in[x];
}

}  // namespace

void UpsampleRow(const SampleView& in, uint32_t h, uint32_t v, uint32_t y, uint8_t* out) {
  const uint32_t row = y / v;
  const bool upper = y % v == 0;
  const uint8_t* near = in.data + row * in.pitch;
  // The neighbouring row on the side that y is on; at the image's edge, the row itself.
  const uint32_t far_row = upper ? (row > 0 ? row - 1 : 0) : (row + 1 < in.height ? row + 1 : row);
  const uint8_t* far = in.data + far_row * in.pitch;
  const bool wide_enough = in.width > 2;  // libjpeg's own condition
  if (h == 2 && v == 1 && wide_enough) return TriangleAcross(near, in.width, out);
  if (h == 2 && v == 2 && wide_enough) return TriangleBoth(near, far, in.width, out);
  if (h == 1 && v == 2) return TriangleDown(near, far, in.width, upper ? 1 : 2, out);
  Replicate(near, in.width, h, out);
}

}  // namespace jpegrt
