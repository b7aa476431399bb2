// Entry points of the projecting kernels; kernels/cuda/project.cpp launches them by these names.

#include "project_kernel.h"

using namespace jpegrt;
using namespace jpegrt::cuda;

#define JPEGRT_PROJECT(name, packed, Element)                                      \
  extern "C" __global__ void __launch_bounds__(kThreads)                           \
      name(const __grid_constant__ ProjectBatch batch) {                           \
    __shared__ ProjectTile tile;                                                   \
    Registers<ProjectRegisters> registers;                                         \
    ProjectOneTile<packed, Element>(batch, blockIdx.x, tile, registers, Phases()); \
  }

JPEGRT_PROJECT(projected_f32_from_blocks, false, float)
JPEGRT_PROJECT(projected_f16_from_blocks, false, Half)
JPEGRT_PROJECT(projected_f32_from_packed, true, float)
JPEGRT_PROJECT(projected_f16_from_packed, true, Half)
