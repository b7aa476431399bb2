// What the kernels that upsample take. Shared by host and device.
#pragma once

#include <cstdint>

namespace jpegrt::cuda {

struct SamplePlane {
  const uint8_t* samples;
  uint32_t pitch;
  uint32_t width, height;  // samples that belong to the image; the filter does not look beyond them
  uint8_t h, v;            // pixels per sample, across and down
};

// A component's samples, and the full-resolution cells that they become: what lies beyond `width`
// and `height` is filled with the nearest samples.
struct UpsampledCells {
  SamplePlane samples;
  uint32_t width, height;  // upsampled samples that are used
  uint32_t rows, columns;  // of a plane of cells
  uint32_t log2_cell;      // cells are as wide as high
  float scale;
  float* cells;  // planes follow each other without a gap
};

}  // namespace jpegrt::cuda
