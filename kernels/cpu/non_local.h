// The non-local operator of CISR (Luo et al., equations 9 and 10), whole images in and out.
#pragma once

#include "jpegrt.h"

namespace jpegrt {

// As jpegrt_non_local, whose arguments these are, checked.
void NonLocal(const jpegrt_non_local_options& options, const void* guide, const void* value,
              const float* h, const uint8_t* keys, void* filtered);

}  // namespace jpegrt
