// Entry points of the detector of blocking edges; kernels/cuda/blocking_edges.cpp launches them by
// these names.

#include "blocking_edges_kernel.h"

using namespace jpegrt;
using namespace jpegrt::cuda;

#define JPEGRT_BLOCKING_EDGES(name, Sample)                            \
  extern "C" __global__ void __launch_bounds__(kThreads)               \
      name(const __grid_constant__ BlockingEdgesArguments arguments) { \
    __shared__ EdgeTile tile;                                          \
    FindEdgesOfTile<Sample>(arguments, blockIdx.x, tile, Phases());    \
  }

JPEGRT_BLOCKING_EDGES(blocking_edges_f32, float)
JPEGRT_BLOCKING_EDGES(blocking_edges_f16, Half)
