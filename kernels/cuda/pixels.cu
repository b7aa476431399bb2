// Entry points of the kernels that write pixels; kernels/cuda/pixels.cpp launches them by name.

#include "pixels_kernel.h"

using namespace jpegrt;
using namespace jpegrt::cuda;

#define JPEGRT_PIXELS_FROM_SAMPLES(name, Pixel)              \
  extern "C" __global__ void __launch_bounds__(kThreads, 4)  \
      name(const __grid_constant__ SampleBatch batch) {      \
    __shared__ PixelTile<Pixel> tile;                        \
    PixelsFromSampleTile(batch, blockIdx.x, tile, Phases()); \
  }

JPEGRT_PIXELS_FROM_SAMPLES(pixels_u8_from_samples, uint8_t)
JPEGRT_PIXELS_FROM_SAMPLES(pixels_u16_from_samples, uint16_t)

#define JPEGRT_PIXELS_FROM_CELLS(name, Cell, Pixel)              \
  extern "C" __global__ void __launch_bounds__(kThreads, 4)      \
      name(const __grid_constant__ CellBatch batch) {            \
    __shared__ PixelTile<Pixel> tile;                            \
    PixelsFromCellTile<Cell>(batch, blockIdx.x, tile, Phases()); \
  }

JPEGRT_PIXELS_FROM_CELLS(pixels_u8_from_cells_f32, float, uint8_t)
JPEGRT_PIXELS_FROM_CELLS(pixels_u16_from_cells_f32, float, uint16_t)
JPEGRT_PIXELS_FROM_CELLS(pixels_u8_from_cells_f16, Half, uint8_t)
JPEGRT_PIXELS_FROM_CELLS(pixels_u16_from_cells_f16, Half, uint16_t)
