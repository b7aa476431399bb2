// Planes into interleaved pixels.
#pragma once

#include <cstddef>
#include <cstdint>

#include "jpegrt.h"

namespace jpegrt {

// One row of full-resolution samples; YCbCr to RGB, and YCCK to CMYK, in libjpeg's fixed point, bit
// for bit.
void PixelsFromSamples(const uint8_t* const samples[], uint32_t width, jpegrt_colour colour,
                       uint8_t* pixels);

// Pixel rows of full-resolution cells: component c's r * r planes begin at cells[c].
struct CellImage {
  const float* cells[JPEGRT_MAX_COMPONENTS];  // as many as there are
  uint32_t cell_px;                           // r
  size_t pitch;                               // cells from one row of a plane to the next
  size_t plane;                               // cells from one plane to the next
  float scale;                                // cells are centred samples times this
  float key_scale;                            // and those of a fourth component times that
};

// Levels for what is left to the highest: ink for light.
template <typename Pixel>
void Invert(Pixel* levels, size_t count) {
  for (size_t i = 0; i < count; ++i) levels[i] = static_cast<Pixel>(~levels[i]);
}

// Row y of the image; rounded half up, clamped; NaN becomes 0. In 16 bits 257 is one level of 8.
void PixelsFromCells(const CellImage& image, uint32_t y, uint32_t width, jpegrt_colour colour,
                     uint8_t* pixels);
void PixelsFromCells(const CellImage& image, uint32_t y, uint32_t width, jpegrt_colour colour,
                     uint16_t* pixels);

// One row of samples into cells, the inverse of the above for one component.
void CellsFromSamples(const uint8_t* samples, uint32_t y, uint32_t width, uint32_t cell_px,
                      float scale, float* cells, size_t pitch, size_t plane);

}  // namespace jpegrt
