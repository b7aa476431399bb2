// Enqueues the kernel that upsamples.
#pragma once

#include "context.h"
#include "upsample_arguments.h"

namespace jpegrt::cuda {

// Throws Error.
void Upsample(const Context& context, const UpsampledCells& cells, void* stream);

}  // namespace jpegrt::cuda
