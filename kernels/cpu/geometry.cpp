#include "geometry.h"

#include <algorithm>
#include <string>

#include "error.h"

namespace jpegrt {
namespace {

constexpr uint64_t kDefaultMaxPixels = uint64_t{1} << 27;

uint32_t CeilDivide(uint64_t a, uint64_t b) { return static_cast<uint32_t>((a + b - 1) / b); }

}  // namespace

void RefuseTooLarge(uint32_t width, uint32_t height, const jpegrt_read_options& options) {
  const uint64_t max_pixels = options.max_pixels ? options.max_pixels : kDefaultMaxPixels;
  if (uint64_t{width} * height > max_pixels)
    throw Error(JPEGRT_ERR_TOO_LARGE, std::to_string(width) + "x" + std::to_string(height) +
                                          " pixels are more than the limit of " +
                                          std::to_string(max_pixels));
}

void DeriveComponentSizes(jpegrt_image* image) {
  uint32_t max_h = 1, max_v = 1;
  for (uint32_t c = 0; c < image->components; ++c) {
    max_h = std::max(max_h, image->component[c].h);
    max_v = std::max(max_v, image->component[c].v);
  }
  for (uint32_t c = 0; c < image->components; ++c) {
    jpegrt_component& component = image->component[c];
    if (max_h % component.h || max_v % component.v)
      throw Error(JPEGRT_ERR_UNSUPPORTED,
                  "sampling factors with a ratio that is not whole (" +
                      std::to_string(component.h) + "x" + std::to_string(component.v) + " of " +
                      std::to_string(max_h) + "x" + std::to_string(max_v) + ") are not supported");
    component.width = CeilDivide(uint64_t{image->width} * component.h, max_h);
    component.height = CeilDivide(uint64_t{image->height} * component.v, max_v);
    component.blocks.columns = CeilDivide(component.width, 8);
    component.blocks.rows = CeilDivide(component.height, 8);
  }
}

}  // namespace jpegrt
