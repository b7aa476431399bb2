// The C ABI of the projection onto the quantisation intervals.

#include <cfloat>

#include "jpegrt.h"
#include "project.h"

namespace {

bool ValidCellSide(uint32_t side) { return side == 1 || side == 2 || side == 4 || side == 8; }

}  // namespace

jpegrt_status jpegrt_project_cells(const jpegrt_blocks* blocks, uint32_t cell_width,
                                   uint32_t cell_height, float scale, float slack,
                                   const float* cells, float* projected) {
  const bool valid = blocks && blocks->data && blocks->table && blocks->rows && blocks->columns &&
                     blocks->stride >= blocks->columns && ValidCellSide(cell_width) &&
                     ValidCellSide(cell_height) && scale > 0 &&
                     scale <= jpegrt::kMaxProjectedScale && slack >= 0 && slack <= FLT_MAX &&
                     cells && projected;
  if (!valid) return JPEGRT_ERR_INVALID_ARGUMENT;
  const size_t columns = static_cast<size_t>(blocks->columns) * 8 / cell_width;
  const size_t rows = static_cast<size_t>(blocks->rows) * 8 / cell_height;
  jpegrt::ProjectCells(*blocks, {0, blocks->rows}, {cell_width, cell_height}, scale, slack, cells,
                       projected, columns, rows * columns);
  return JPEGRT_OK;
}
