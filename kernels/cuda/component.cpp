#include "component.h"

#include <string>

#include "../cpu/error.h"

namespace jpegrt::cuda {
namespace {

constexpr uint64_t kMaxBlocks = 1u << 26;  // of a component; the packed format has the same bound

bool IsCellSide(uint32_t side) { return side == 1 || side == 2 || side == 4 || side == 8; }

uint8_t Log2(uint32_t power_of_two) { return static_cast<uint8_t>(__builtin_ctz(power_of_two)); }

}  // namespace

bool IsAligned(const void* pointer, size_t size) {
  return reinterpret_cast<uintptr_t>(pointer) % size == 0;
}

size_t SizeOf(jpegrt_dtype dtype) {
  return dtype == JPEGRT_FLOAT32 ? 4 : dtype == JPEGRT_FLOAT16 ? 2 : 1;
}

void RequireOfComponent(bool condition, size_t index, const char* purpose, const char* what) {
  if (!condition)
    throw Error(JPEGRT_ERR_INVALID_ARGUMENT,
                "component " + std::to_string(index) + " to " + purpose + ": " + what);
}

UnpackComponent CheckedComponent(const jpegrt_unpacking& from, size_t index, const char* purpose,
                                 jpegrt_layout layout, jpegrt_dtype dtype) {
  const auto require = [&](bool condition, const char* what) {
    RequireOfComponent(condition, index, purpose, what);
  };
  const jpegrt_blocks& blocks = from.blocks;
  const bool packed = !blocks.data;
  require(blocks.table && from.out, "its table or its output is a null pointer");
  require(packed == (from.packed != nullptr), "either blocks or a packed stream, not both");
  require(blocks.rows && blocks.columns && (packed || blocks.stride >= blocks.columns),
          "it has no blocks, or a stride below its columns");
  require(static_cast<uint64_t>(blocks.rows) * blocks.columns <= kMaxBlocks,
          "more than 2^26 blocks");
  require(packed ? IsAligned(from.packed, 4) : IsAligned(blocks.data, 16),
          "blocks must be 16-byte aligned, a packed stream 4-byte aligned");
  require(IsAligned(from.out, SizeOf(dtype)), "its output is not aligned to an element");

  const bool cells = layout == JPEGRT_LAYOUT_CELLS;
  require(cells ? IsCellSide(from.cell_width) && IsCellSide(from.cell_height)
                : !from.cell_width && !from.cell_height,
          "cells are 1, 2, 4 or 8 samples wide and high; other layouts have none (0)");
  require(cells || (!from.grid_rows && !from.grid_columns), "only cells have a grid");
  const uint32_t side = layout == JPEGRT_LAYOUT_SPECTRUM ? 8 : 1;
  const uint32_t width = cells ? from.cell_width : side;
  const uint32_t height = cells ? from.cell_height : side;

  UnpackComponent component;
  component.source = packed ? from.packed : blocks.data;
  component.out = from.out;
  component.plane = from.plane;
  component.pitch = from.pitch;
  component.first_tile = 0;
  component.rows = blocks.rows;
  component.columns = blocks.columns;
  component.stride = blocks.stride;
  component.grid_rows = from.grid_rows ? from.grid_rows : blocks.rows;
  component.grid_columns = from.grid_columns ? from.grid_columns : blocks.columns;
  require(component.grid_rows >= blocks.rows && component.grid_columns >= blocks.columns &&
              component.grid_rows <= kMaxBlocks && component.grid_columns <= kMaxBlocks,
          "the grid is smaller than the blocks, or larger than 2^26");
  component.log2_width = Log2(width);
  component.log2_height = Log2(height);

  const uint64_t row = static_cast<uint64_t>(8 / width) * component.grid_columns;
  const uint64_t plane_rows = static_cast<uint64_t>(8 / height) * component.grid_rows;
  require(from.pitch >= row, "its pitch is less than a row of its planes");
  require(width * height == 1 || from.plane >= (plane_rows - 1) * from.pitch + row,
          "its planes overlap");
  const uint32_t chunk = static_cast<uint32_t>(16 / SizeOf(dtype));
  component.whole_chunks = IsAligned(from.out, 16) && from.plane % chunk == 0 &&
                           from.pitch % chunk == 0 && blocks.columns * (8 / width) % chunk == 0;
  return component;
}

}  // namespace jpegrt::cuda
