// Restored samples moved to the nearest image that the file could have been made from.
#pragma once

#include <cstddef>

#include "../shared/projection.h"
#include "jpegrt.h"
#include "unpack.h"

namespace jpegrt {

// As jpegrt_project_cells, on the block rows `rows`, with pitch and plane of both images as in
// unpack.h. `projected` may be `cells`. Of a negative scale they are those of the negative.
void ProjectCells(const jpegrt_blocks& blocks, RowRange rows, CellSize cell, float scale,
                  float slack, const float* cells, float* projected, size_t pitch, size_t plane);

}  // namespace jpegrt
