// Finds the borders between 8x8 blocks that the JPEG's quantisation made visible.
#pragma once

#include "jpegrt.h"

namespace jpegrt {

// As jpegrt_find_blocking_edges, whose arguments these are, checked.
void FindBlockingEdges(const jpegrt_blocking_edges_options& options, const float* value,
                       uint8_t* keys);

}  // namespace jpegrt
