// Enqueues the detector of blocking edges.
#pragma once

#include "context.h"
#include "jpegrt.h"

namespace jpegrt::cuda {

// As jpegrt_cuda_find_blocking_edges. Throws Error.
void FindBlockingEdges(const Context& context, const jpegrt_blocking_edges_options& options,
                       const void* value, jpegrt_dtype dtype, uint8_t* keys, void* stream);

}  // namespace jpegrt::cuda
