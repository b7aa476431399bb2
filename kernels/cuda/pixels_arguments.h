// What the kernels that write pixels take. Shared by host and device.
#pragma once

#include <cstdint>

#include "upsample_arguments.h"

namespace jpegrt::cuda {

// A thread block writes a tile of 128 x 8 pixels.
constexpr uint32_t kTileWidth = 128, kTileHeight = 8;

// Where an image's pixels go.
struct PixelTarget {
  void* pixels;
  uint64_t row_stride;  // bytes
  uint32_t width, height;
  uint32_t first_tile, tiles_across;
  uint8_t components;   // 1 or 3
  uint8_t is_ycbcr;     // else components are pixels as they are
  uint8_t store_bytes;  // rows begin at multiples of it: 16, 4 or 1
};

struct CellSource {
  PixelTarget target;
  const void* cells[3];
  uint64_t plane;  // elements from one plane to the next
  uint32_t pitch;  // elements from one row of a plane to the next
};

struct SampleSource {
  PixelTarget target;
  SamplePlane plane[3];
};

// Passed by value; kernels may have 32764 bytes of arguments.
constexpr uint32_t kMaxCellSources = 370, kMaxSampleSources = 260;

struct CellBatch {
  uint32_t images;
  uint32_t log2_cell;
  float gain, offset, highest;  // a level is sample * gain + offset, with 0.5 for rounding
  CellSource image[kMaxCellSources];
};

struct SampleBatch {
  uint32_t images;
  SampleSource image[kMaxSampleSources];
};

static_assert(sizeof(CellBatch) <= 32764 && sizeof(SampleBatch) <= 32764,
              "too many arguments for a kernel");

}  // namespace jpegrt::cuda
