// The shared memory of a thread block that unpacks 32 blocks, and how dense blocks get there.
#pragma once

#include "phases.h"
#include "unpack_arguments.h"

namespace jpegrt::cuda {

struct BlockPosition {
  uint32_t row, column;
};

struct UnpackTile {
  uint32_t component, first_block, blocks;  // which of the launch, and how many: 1 to 32
  BlockPosition first_position;

  union {  // in raster order
    int16_t coefficients[kTileBlocks][66];
    uint32_t coefficient_words[kTileBlocks][33];
  };
  // A packed run is read before there are samples.
  union {
    float samples[kTileBlocks][65];
    uint32_t integer_samples[kTileBlocks][65];
    uint32_t run[kTileBlocks * 32];
  };

  // Of a packed run, for each block.
  uint32_t first_mask[kTileBlocks + 1], first_value[kTileBlocks + 1];
  uint32_t first_escape[kTileBlocks + 1], dc[kTileBlocks + 1];
  uint64_t masks[kTileBlocks];    // group g's in byte g
  uint64_t escapes[kTileBlocks];  // how many in group g, in byte g

  // Makes it tile `index` of a launch.
  template <typename Batch>
  JPEGRT_SHARED void Locate(const Batch& batch, uint32_t index) {
    uint32_t first = 0, last = batch.components - 1;
    while (first < last) {
      const uint32_t middle = (first + last + 1) / 2;
      if (batch.component[middle].first_tile <= index)
        first = middle;
      else
        last = middle - 1;
    }
    const UnpackComponent& found = batch.component[first];
    component = first;
    first_block = (index - found.first_tile) * kTileBlocks;
    const uint32_t left = found.rows * found.columns - first_block;
    blocks = left < kTileBlocks ? left : kTileBlocks;
    first_position = {first_block / found.columns, first_block % found.columns};
  }

  JPEGRT_SHARED BlockPosition PositionOf(uint32_t block, uint32_t columns) const {
    const uint32_t column = first_position.column + block;
    if (column < columns) return {first_position.row, column};
    return {first_position.row + column / columns, column % columns};
  }
};

// Eight threads a block, each with one row of it.
JPEGRT_SHARED void LoadDense(const UnpackComponent& component, UnpackTile& tile,
                             const Phases& phases) {
  phases.Block([&](uint32_t thread) {
    const uint32_t block = thread / 8, v = thread % 8;
    if (block >= tile.blocks) return;
    const BlockPosition position = tile.PositionOf(block, component.columns);
    const uint64_t index = static_cast<uint64_t>(position.row) * component.stride + position.column;
    const Words4 row =
        LoadConstantWords(static_cast<const int16_t*>(component.source) + 64 * index + 8 * v);
    for (int i = 0; i < 4; ++i) tile.coefficient_words[block][4 * v + i] = row.words[i];
  });
}

}  // namespace jpegrt::cuda
