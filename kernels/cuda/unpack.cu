// Entry points of the unpacking kernels; kernels/cuda/unpack.cpp launches them by these names.

#include "unpack_kernel.h"

using namespace jpegrt;
using namespace jpegrt::cuda;

#define JPEGRT_UNPACK(name, packed, transform, Element)                                      \
  extern "C" __global__ void __launch_bounds__(kThreads)                                     \
      name(const __grid_constant__ UnpackBatch batch) {                                      \
    __shared__ UnpackTile tile;                                                              \
    UnpackOneTile<packed, Transform::transform, Element>(batch, blockIdx.x, tile, Phases()); \
  }

JPEGRT_UNPACK(coefficients_f32_from_blocks, false, kNone, float)
JPEGRT_UNPACK(coefficients_f16_from_blocks, false, kNone, Half)
JPEGRT_UNPACK(cells_f32_from_blocks, false, kDct, float)
JPEGRT_UNPACK(cells_f16_from_blocks, false, kDct, Half)
JPEGRT_UNPACK(samples_u8_from_blocks, false, kIslow, uint8_t)
JPEGRT_UNPACK(coefficients_f32_from_packed, true, kNone, float)
JPEGRT_UNPACK(coefficients_f16_from_packed, true, kNone, Half)
JPEGRT_UNPACK(cells_f32_from_packed, true, kDct, float)
JPEGRT_UNPACK(cells_f16_from_packed, true, kDct, Half)
JPEGRT_UNPACK(samples_u8_from_packed, true, kIslow, uint8_t)
