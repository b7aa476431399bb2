#include "unpack.h"

#include <memory>
#include <string>

#include "../cpu/error.h"
#include "unpack_arguments.h"

namespace jpegrt::cuda {
namespace {

constexpr uint64_t kMaxBlocks = 1u << 26;  // of a component; the packed format has the same bound

void Require(bool condition, size_t index, const char* what) {
  if (!condition)
    throw Error(JPEGRT_ERR_INVALID_ARGUMENT,
                "component " + std::to_string(index) + " to unpack: " + what);
}

bool IsAligned(const void* pointer, size_t size) {
  return reinterpret_cast<uintptr_t>(pointer) % size == 0;
}

bool IsCellSide(uint32_t side) { return side == 1 || side == 2 || side == 4 || side == 8; }

uint8_t Log2(uint32_t power_of_two) { return static_cast<uint8_t>(__builtin_ctz(power_of_two)); }

size_t SizeOf(jpegrt_dtype dtype) {
  return dtype == JPEGRT_FLOAT32 ? 4 : dtype == JPEGRT_FLOAT16 ? 2 : 1;
}

UnpackComponent Component(const jpegrt_unpacking& from, size_t index, jpegrt_layout layout,
                          jpegrt_dtype dtype, float scale) {
  const jpegrt_blocks& blocks = from.blocks;
  const bool packed = !blocks.data;
  Require(blocks.table && from.out, index, "its table or its output is a null pointer");
  Require(packed == (from.packed != nullptr), index, "either blocks or a packed stream, not both");
  Require(blocks.rows && blocks.columns && (packed || blocks.stride >= blocks.columns), index,
          "it has no blocks, or a stride below its columns");
  Require(static_cast<uint64_t>(blocks.rows) * blocks.columns <= kMaxBlocks, index,
          "more than 2^26 blocks");
  Require(packed ? IsAligned(from.packed, 4) : IsAligned(blocks.data, 16), index,
          "blocks must be 16-byte aligned, a packed stream 4-byte aligned");
  Require(IsAligned(from.out, SizeOf(dtype)), index, "its output is not aligned to an element");

  const bool cells = layout == JPEGRT_LAYOUT_CELLS;
  Require(cells ? IsCellSide(from.cell_width) && IsCellSide(from.cell_height)
                : !from.cell_width && !from.cell_height,
          index, "cells are 1, 2, 4 or 8 samples wide and high; other layouts have none (0)");
  Require(cells || (!from.grid_rows && !from.grid_columns), index, "only cells have a grid");
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
  Require(component.grid_rows >= blocks.rows && component.grid_columns >= blocks.columns &&
              component.grid_rows <= kMaxBlocks && component.grid_columns <= kMaxBlocks,
          index, "the grid is smaller than the blocks, or larger than 2^26");
  component.log2_width = Log2(width);
  component.log2_height = Log2(height);

  const uint64_t row = static_cast<uint64_t>(8 / width) * component.grid_columns;
  const uint64_t plane_rows = static_cast<uint64_t>(8 / height) * component.grid_rows;
  Require(from.pitch >= row, index, "its pitch is less than a row of its planes");
  Require(width * height == 1 || from.plane >= (plane_rows - 1) * from.pitch + row, index,
          "its planes overlap");
  const uint32_t chunk = static_cast<uint32_t>(16 / SizeOf(dtype));
  component.whole_chunks = IsAligned(from.out, 16) && from.plane % chunk == 0 &&
                           from.pitch % chunk == 0 && blocks.columns * (8 / width) % chunk == 0;

  for (int k = 0; k < 64; ++k) {
    if (layout == JPEGRT_LAYOUT_SAMPLES)
      component.integer_steps[k] = blocks.table[k];
    else  // two passes of the inverse DCT return samples times 8
      component.steps[k] = static_cast<float>(blocks.table[k]) * (cells ? scale / 8 : scale);
  }
  return component;
}

const char* KernelName(bool packed, jpegrt_layout layout, jpegrt_dtype dtype) {
  if (layout == JPEGRT_LAYOUT_SAMPLES)
    return packed ? "samples_u8_from_packed" : "samples_u8_from_blocks";
  const bool half = dtype == JPEGRT_FLOAT16;
  if (layout == JPEGRT_LAYOUT_CELLS) {
    if (packed) return half ? "cells_f16_from_packed" : "cells_f32_from_packed";
    return half ? "cells_f16_from_blocks" : "cells_f32_from_blocks";
  }
  if (packed) return half ? "coefficients_f16_from_packed" : "coefficients_f32_from_packed";
  return half ? "coefficients_f16_from_blocks" : "coefficients_f32_from_blocks";
}

}  // namespace

void Unpack(const Context& context, const jpegrt_unpacking* components, size_t n_components,
            jpegrt_layout layout, jpegrt_dtype dtype, float scale, void* stream) {
  const bool fits = layout == JPEGRT_LAYOUT_SAMPLES
                        ? dtype == JPEGRT_UINT8
                        : layout >= JPEGRT_LAYOUT_CELLS && layout < JPEGRT_LAYOUT_SAMPLES &&
                              (dtype == JPEGRT_FLOAT32 || dtype == JPEGRT_FLOAT16);
  if (!fits)
    throw Error(JPEGRT_ERR_INVALID_ARGUMENT,
                "samples are uint8; cells, spectra and planes are float32 or float16");
  for (size_t i = 0; i < n_components; ++i) Component(components[i], i, layout, dtype, scale);

  const auto batch = std::make_unique<UnpackBatch>();
  for (const bool packed : {false, true}) {
    uint32_t tiles = 0;
    batch->components = 0;
    const auto launch = [&] {
      if (!batch->components) return;
      context.Launch(KernelName(packed, layout, dtype), tiles, *batch, stream);
      batch->components = tiles = 0;
    };
    for (size_t i = 0; i < n_components; ++i) {
      if ((components[i].blocks.data == nullptr) != packed) continue;
      UnpackComponent& component = batch->component[batch->components];
      component = Component(components[i], i, layout, dtype, scale);
      component.first_tile = tiles;
      ++batch->components;
      tiles += (component.rows * component.columns + kTileBlocks - 1) / kTileBlocks;
      if (batch->components == kMaxUnpackComponents) launch();
    }
    launch();
  }
}

}  // namespace jpegrt::cuda
