// The non-local operator on a device.
#pragma once

#include <cstdint>

#include "context.h"
#include "jpegrt.h"

namespace jpegrt::cuda {

// Bytes of scratch memory that NonLocal needs; 0 for options that it refuses.
uint64_t NonLocalScratchBytes(const jpegrt_non_local_options& options);

// As jpegrt_cuda_non_local. Throws Error.
void NonLocal(const Context& context, const jpegrt_non_local_options& options, const void* guide,
              const void* value, const float* h, const uint8_t* keys, void* filtered, void* scratch,
              void* stream);

}  // namespace jpegrt::cuda
