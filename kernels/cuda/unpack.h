// Enqueues the unpacking kernels.
#pragma once

#include "context.h"
#include "jpegrt.h"

namespace jpegrt::cuda {

// As jpegrt_cuda_unpack. Throws Error, before anything is enqueued if an argument is wrong.
void Unpack(const Context& context, const jpegrt_unpacking* components, size_t n_components,
            jpegrt_layout layout, jpegrt_dtype dtype, float scale, void* stream);

}  // namespace jpegrt::cuda
