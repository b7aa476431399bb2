#include "pixels.h"

#include <algorithm>

#include "../shared/colour.h"
#include "simd.h"

namespace jpegrt {
namespace {

JPEGRT_INLINE uint8_t Truncate(float level) {
  return static_cast<uint8_t>(TruncatedLevel(level, 255));
}

// Planes of one row of R cells become pixels in two steps, each of which a compiler can vectorise:
// levels plane by plane, then the planes' bytes interleaved.
constexpr uint32_t kStrip = 256;  // cells at a time; what is in flight stays in the first cache

template <int R, int Components>
JPEGRT_INLINE void Interleave(const uint8_t (*levels)[kStrip], uint32_t cells, uint8_t* pixels) {
  for (uint32_t i = 0; i < cells; ++i)
    for (int k = 0; k < R * Components; ++k) pixels[i * R * Components + k] = levels[k][i];
}

JPEGRT_INLINE void GreyLevels(const float* cells, float gain, uint32_t count, uint8_t* levels) {
  for (uint32_t i = 0; i < count; ++i) levels[i] = Truncate(cells[i] * gain + 128.5f);
}

JPEGRT_INLINE void RgbLevels(const float* luma, const float* cb, const float* cr, float gain,
                             uint32_t count, uint8_t* red, uint8_t* green, uint8_t* blue) {
  for (uint32_t i = 0; i < count; ++i) {
    const float level = luma[i] * gain + 128.5f, b = cb[i] * gain, r = cr[i] * gain;
    red[i] = Truncate(RedLevel(level, r));
    green[i] = Truncate(GreenLevel(level, b, r));
    blue[i] = Truncate(BlueLevel(level, b));
  }
}

template <int R, int Components>
JPEGRT_INLINE void Row(const CellImage& image, uint32_t y, uint32_t width, jpegrt_colour colour,
                       uint8_t* pixels) {
  const float gain = 1 / image.scale;
  uint8_t levels[R * Components][kStrip];
  for (uint32_t x = 0; x < width; x += R * kStrip) {
    const uint32_t cells = std::min((width - x + R - 1) / R, kStrip);
    for (int dx = 0; dx < R; ++dx) {
      const size_t offset = ((y % R) * R + dx) * image.plane + (y / R) * image.pitch + x / R;
      uint8_t (*out)[kStrip] = levels + dx * Components;
      if constexpr (Components == 3) {
        if (colour == JPEGRT_COLOUR_YCBCR) {
          RgbLevels(image.cells[0] + offset, image.cells[1] + offset, image.cells[2] + offset, gain,
                    cells, out[0], out[1], out[2]);
          continue;
        }
      }
      for (int c = 0; c < Components; ++c) GreyLevels(image.cells[c] + offset, gain, cells, out[c]);
    }
    uint8_t* strip = pixels + static_cast<size_t>(x) * Components;
    const uint32_t whole = std::min(cells, (width - x) / R);  // cells that end within the image
    Interleave<R, Components>(levels, whole, strip);
    for (uint32_t k = 0; k < (std::min(width - x, R * kStrip) - whole * R) * Components; ++k)
      strip[whole * R * Components + k] = levels[k][whole];
  }
}

template <int R>
JPEGRT_INLINE void RowOf(const CellImage& image, uint32_t y, uint32_t width, jpegrt_colour colour,
                         uint8_t* pixels) {
  if (colour == JPEGRT_COLOUR_GREY) return Row<R, 1>(image, y, width, colour, pixels);
  Row<R, 3>(image, y, width, colour, pixels);
}

}  // namespace

JPEGRT_MULTIVERSIONED
void PixelsFromSamples(const uint8_t* const samples[3], uint32_t width, jpegrt_colour colour,
                       uint8_t* pixels) {
  if (colour == JPEGRT_COLOUR_GREY) {
    for (uint32_t x = 0; x < width; ++x) pixels[x] = samples[0][x];
    return;
  }
  if (colour == JPEGRT_COLOUR_RGB) {
    for (uint32_t x = 0; x < width; ++x)
      for (int c = 0; c < 3; ++c) pixels[3 * x + c] = samples[c][x];
    return;
  }
  for (uint32_t x = 0; x < width; ++x) {
    const int luma = samples[0][x], cb = samples[1][x] - 128, cr = samples[2][x] - 128;
    pixels[3 * x] = FixedRed(luma, cr);
    pixels[3 * x + 1] = FixedGreen(luma, cb, cr);
    pixels[3 * x + 2] = FixedBlue(luma, cb);
  }
}

JPEGRT_MULTIVERSIONED
void PixelsFromCells(const CellImage& image, uint32_t y, uint32_t width, jpegrt_colour colour,
                     uint8_t* pixels) {
  switch (image.cell_px) {
    case 1:
      return RowOf<1>(image, y, width, colour, pixels);
    case 2:
      return RowOf<2>(image, y, width, colour, pixels);
    case 4:
      return RowOf<4>(image, y, width, colour, pixels);
    default:
      return RowOf<8>(image, y, width, colour, pixels);
  }
}

void CellsFromSamples(const uint8_t* samples, uint32_t y, uint32_t width, uint32_t cell_px,
                      float scale, float* cells, size_t pitch, size_t plane) {
  float* row = cells + (y % cell_px) * cell_px * plane + (y / cell_px) * pitch;
  for (uint32_t x = 0; x < width; ++x)
    row[(x % cell_px) * plane + x / cell_px] = (static_cast<float>(samples[x]) - 128) * scale;
}

}  // namespace jpegrt
