// Enqueues the projecting kernels.
#pragma once

#include "context.h"
#include "jpegrt.h"

namespace jpegrt::cuda {

// As jpegrt_cuda_project_cells. Throws Error, before anything is enqueued if an argument is wrong.
void ProjectCells(const Context& context, const jpegrt_projection* components, size_t n_components,
                  jpegrt_dtype dtype, float scale, float slack, void* stream);

}  // namespace jpegrt::cuda
