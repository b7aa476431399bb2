// Entry points of the non-local operator; kernels/cuda/non_local.cpp launches them by these names.

#include "non_local_kernel.h"

using namespace jpegrt;
using namespace jpegrt::cuda;

#define JPEGRT_NON_LOCAL(suffix, Sample)                                           \
  extern "C" __global__ void __launch_bounds__(kThreads)                           \
      non_local_##suffix(const __grid_constant__ NonLocalArguments arguments) {    \
    __shared__ NonLocalTile tile;                                                  \
    Registers<NonLocalRegisters> registers;                                        \
    FilterPatches<Sample>(arguments, blockIdx.x, tile, registers, Phases());       \
  }                                                                                \
  extern "C" __global__ void __launch_bounds__(kThreads)                           \
      fold_patches_##suffix(const __grid_constant__ NonLocalArguments arguments) { \
    FoldPatches<Sample>(arguments, blockIdx.x, Phases());                          \
  }

JPEGRT_NON_LOCAL(f32, float)
JPEGRT_NON_LOCAL(f16, Half)
