// Entry point of the kernel that upsamples; kernels/cuda/upsample.cpp launches it by name.

#include "upsample_kernel.h"

using namespace jpegrt::cuda;

extern "C" __global__ void __launch_bounds__(kThreads)
    cells_f32_from_samples(const __grid_constant__ UpsampledCells to) {
  CellsFromSamples(to, blockIdx.x, Phases());
}
