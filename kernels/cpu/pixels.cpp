#include "pixels.h"

#include <algorithm>

#include "../shared/colour.h"
#include "simd.h"

namespace jpegrt {
namespace {

// What one level of 8 bits is: 255 becomes the highest value of either depth.
template <typename Pixel>
constexpr float kUnit = sizeof(Pixel) == 1 ? 1 : 257;
template <typename Pixel>
constexpr float kMidGrey = 128 * kUnit<Pixel> + 0.5f;  // with the half that rounds

template <typename Pixel>
JPEGRT_INLINE Pixel Truncate(float level) {
  return static_cast<Pixel>(TruncatedLevel(level, 255 * kUnit<Pixel>));
}

// Planes of one row of R cells become pixels in two steps, each of which a compiler can vectorise:
// levels plane by plane, then the planes' bytes interleaved.
constexpr uint32_t kStrip = 256;  // cells at a time; what is in flight stays in the first cache

template <int R, int Components, typename Pixel>
JPEGRT_INLINE void Interleave(const Pixel (*levels)[kStrip], uint32_t cells, Pixel* pixels) {
  for (uint32_t i = 0; i < cells; ++i)
    for (int k = 0; k < R * Components; ++k) pixels[i * R * Components + k] = levels[k][i];
}

template <typename Pixel>
JPEGRT_INLINE void GreyLevels(const float* cells, float gain, uint32_t count, Pixel* levels) {
  for (uint32_t i = 0; i < count; ++i)
    levels[i] = Truncate<Pixel>(cells[i] * gain + kMidGrey<Pixel>);
}

template <typename Pixel>
JPEGRT_INLINE void RgbLevels(const float* luma, const float* cb, const float* cr, float gain,
                             uint32_t count, Pixel* red, Pixel* green, Pixel* blue) {
  for (uint32_t i = 0; i < count; ++i) {
    const float level = luma[i] * gain + kMidGrey<Pixel>, b = cb[i] * gain, r = cr[i] * gain;
    red[i] = Truncate<Pixel>(RedLevel(level, r));
    green[i] = Truncate<Pixel>(GreenLevel(level, b, r));
    blue[i] = Truncate<Pixel>(BlueLevel(level, b));
  }
}

template <int R, int Components, typename Pixel>
JPEGRT_INLINE void Row(const CellImage& image, uint32_t y, uint32_t width, jpegrt_colour colour,
                       Pixel* pixels) {
  const float gain = kUnit<Pixel> / image.scale, key_gain = kUnit<Pixel> / image.key_scale;
  Pixel levels[R * Components][kStrip];
  for (uint32_t x = 0; x < width; x += R * kStrip) {
    const uint32_t cells = std::min((width - x + R - 1) / R, kStrip);
    for (int dx = 0; dx < R; ++dx) {
      const size_t offset = ((y % R) * R + dx) * image.plane + (y / R) * image.pitch + x / R;
      Pixel(*out)[kStrip] = levels + dx * Components;
      int c = 0;  // the first component that is a channel of its own
      if constexpr (Components >= 3) {
        if (colour == JPEGRT_COLOUR_YCBCR || colour == JPEGRT_COLOUR_YCCK) {
          RgbLevels(image.cells[0] + offset, image.cells[1] + offset, image.cells[2] + offset, gain,
                    cells, out[0], out[1], out[2]);
          c = 3;
        }
      }
      for (; c < Components; ++c)
        GreyLevels(image.cells[c] + offset, c < 3 ? gain : key_gain, cells, out[c]);
      if constexpr (Components == 4)
        for (c = 0; colour == JPEGRT_COLOUR_YCCK && c < 3; ++c) Invert(out[c], cells);
    }
    Pixel* strip = pixels + static_cast<size_t>(x) * Components;
    const uint32_t whole = std::min(cells, (width - x) / R);  // cells that end within the image
    Interleave<R, Components, Pixel>(levels, whole, strip);
    for (uint32_t k = 0; k < (std::min(width - x, R * kStrip) - whole * R) * Components; ++k)
      strip[whole * R * Components + k] = levels[k][whole];
  }
}

template <int R, typename Pixel>
JPEGRT_INLINE void RowOf(const CellImage& image, uint32_t y, uint32_t width, jpegrt_colour colour,
                         Pixel* pixels) {
  if (colour == JPEGRT_COLOUR_GREY) return Row<R, 1>(image, y, width, colour, pixels);
  if (colour == JPEGRT_COLOUR_CMYK || colour == JPEGRT_COLOUR_YCCK)
    return Row<R, 4>(image, y, width, colour, pixels);
  Row<R, 3>(image, y, width, colour, pixels);
}

template <typename Pixel>
JPEGRT_INLINE void AnyRow(const CellImage& image, uint32_t y, uint32_t width, jpegrt_colour colour,
                          Pixel* pixels) {
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

}  // namespace

JPEGRT_MULTIVERSIONED
void PixelsFromSamples(const uint8_t* const samples[], uint32_t width, jpegrt_colour colour,
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
  if (colour == JPEGRT_COLOUR_CMYK) {
    for (uint32_t x = 0; x < width; ++x)
      for (int c = 0; c < 4; ++c) pixels[4 * x + c] = samples[c][x];
    return;
  }
  if (colour == JPEGRT_COLOUR_YCCK) {
    for (uint32_t x = 0; x < width; ++x) {
      const int luma = samples[0][x], cb = samples[1][x] - 128, cr = samples[2][x] - 128;
      pixels[4 * x] = static_cast<uint8_t>(~FixedRed(luma, cr));
      pixels[4 * x + 1] = static_cast<uint8_t>(~FixedGreen(luma, cb, cr));
      pixels[4 * x + 2] = static_cast<uint8_t>(~FixedBlue(luma, cb));
      pixels[4 * x + 3] = samples[3][x];
    }
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
  AnyRow(image, y, width, colour, pixels);
}

JPEGRT_MULTIVERSIONED
void PixelsFromCells(const CellImage& image, uint32_t y, uint32_t width, jpegrt_colour colour,
                     uint16_t* pixels) {
  AnyRow(image, y, width, colour, pixels);
}

void CellsFromSamples(const uint8_t* samples, uint32_t y, uint32_t width, uint32_t cell_px,
                      float scale, float* cells, size_t pitch, size_t plane) {
  float* row = cells + (y % cell_px) * cell_px * plane + (y / cell_px) * pitch;
  for (uint32_t x = 0; x < width; ++x)
    row[(x % cell_px) * plane + x / cell_px] = (static_cast<float>(samples[x]) - 128) * scale;
}

}  // namespace jpegrt
