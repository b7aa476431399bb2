#include "pixels.h"

#include "simd.h"

namespace jpegrt {
namespace {

JPEGRT_INLINE uint8_t Clamp(int level) {
  return static_cast<uint8_t>(level < 0 ? 0 : level > 255 ? 255 : level);
}

// `level` already has the 0.5 that makes truncation round half up.
JPEGRT_INLINE uint8_t Truncate(float level) {
  const float clamped = level > 0 ? (level < 255 ? level : 255) : 0;  // NaN: 0
  return static_cast<uint8_t>(static_cast<int32_t>(clamped));
}

// Plane (y % R) * R + x % R holds the samples of row y whose x has that remainder.
template <int R>
JPEGRT_INLINE void GreyRow(const CellImage& image, uint32_t y, uint32_t width, const float* cells,
                           uint8_t* pixels, size_t step) {
  const float gain = 1 / image.scale;
  for (uint32_t dx = 0; dx < R; ++dx) {
    const float* row = cells + ((y % R) * R + dx) * image.plane + (y / R) * image.pitch;
    for (uint32_t x = dx, i = 0; x < width; x += R, ++i)
      pixels[x * step] = Truncate(row[i] * gain + 128.5f);
  }
}

// ITU-T T.871 (JFIF), section 7.
template <int R>
JPEGRT_INLINE void YcbcrRow(const CellImage& image, uint32_t y, uint32_t width, uint8_t* pixels) {
  const float gain = 1 / image.scale;
  for (uint32_t dx = 0; dx < R; ++dx) {
    const size_t offset = ((y % R) * R + dx) * image.plane + (y / R) * image.pitch;
    const float *luma = image.cells[0] + offset, *cb = image.cells[1] + offset,
                *cr = image.cells[2] + offset;
    for (uint32_t x = dx, i = 0; x < width; x += R, ++i) {
      const float level = luma[i] * gain + 128.5f, blue = cb[i] * gain, red = cr[i] * gain;
      pixels[3 * x] = Truncate(level + 1.402f * red);
      pixels[3 * x + 1] = Truncate(level - 0.344136286f * blue - 0.714136286f * red);
      pixels[3 * x + 2] = Truncate(level + 1.772f * blue);
    }
  }
}

template <int R>
JPEGRT_INLINE void Row(const CellImage& image, uint32_t y, uint32_t width, jpegrt_colour colour,
                       uint8_t* pixels) {
  if (colour == JPEGRT_COLOUR_YCBCR) return YcbcrRow<R>(image, y, width, pixels);
  const size_t components = colour == JPEGRT_COLOUR_GREY ? 1 : 3;
  for (size_t c = 0; c < components; ++c)
    GreyRow<R>(image, y, width, image.cells[c], pixels + c, components);
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
  constexpr int half = 1 << 15;  // factors are in 16 fractional bits
  for (uint32_t x = 0; x < width; ++x) {
    const int luma = samples[0][x], cb = samples[1][x] - 128, cr = samples[2][x] - 128;
    pixels[3 * x] = Clamp(luma + ((91881 * cr + half) >> 16));
    pixels[3 * x + 1] = Clamp(luma + ((-22554 * cb - 46802 * cr + half) >> 16));
    pixels[3 * x + 2] = Clamp(luma + ((116130 * cb + half) >> 16));
  }
}

JPEGRT_MULTIVERSIONED
void PixelsFromCells(const CellImage& image, uint32_t y, uint32_t width, jpegrt_colour colour,
                     uint8_t* pixels) {
  switch (image.cell_px) {
    case 1: return Row<1>(image, y, width, colour, pixels);
    case 2: return Row<2>(image, y, width, colour, pixels);
    case 4: return Row<4>(image, y, width, colour, pixels);
    default: return Row<8>(image, y, width, colour, pixels);
  }
}

void CellsFromSamples(const uint8_t* samples, uint32_t y, uint32_t width, uint32_t cell_px,
                      float scale, float* cells, size_t pitch, size_t plane) {
  float* row = cells + (y % cell_px) * cell_px * plane + (y / cell_px) * pitch;
  for (uint32_t x = 0; x < width; ++x)
    row[(x % cell_px) * plane + x / cell_px] = (static_cast<float>(samples[x]) - 128) * scale;
}

}  // namespace jpegrt
