// Blocks into what networks take, and into plain samples, 32 blocks at a time.
//
// One kernel covers every layout. A spectral tensor is cells of 8 x 8 without an inverse DCT, and a
// coefficient plane is cells of 1 x 1 without it. Samples are cells of 1 x 1 too, of bytes.
//
// The tile's rows in shared memory have odd lengths, in words: the threads of a warp that work on
// one position in 32 blocks then meet 32 different banks.
#pragma once

#include "../shared/dct.h"
#include "cell_rows.h"
#include "packed_tile.h"
#include "phases.h"
#include "unpack_arguments.h"
#include "unpack_tile.h"

namespace jpegrt::cuda {

enum class Transform { kNone, kDct, kIslow };

// Fills the grid right of the last column and below the last row with the nearest samples. By the
// thread that has row y of the block.
template <typename Element>
JPEGRT_SHARED void ExtendEdges(const UnpackComponent& component, const UnpackTile& tile, uint32_t y,
                               uint32_t block) {
  const BlockPosition position = tile.PositionOf(block, component.columns);
  const bool right = position.column + 1 == component.columns;
  const uint32_t first_x = 8 * position.column, first_y = 8 * position.row + y;
  const uint32_t end_x = right ? 8 * component.grid_columns : first_x + 8;
  const bool lowest = position.row + 1 == component.rows && y == 7;
  const uint32_t end_y = lowest ? 8 * component.grid_rows : first_y + 1;
  Element* out = static_cast<Element*>(component.out);
  for (uint32_t to_y = first_y; to_y < end_y; ++to_y)
    for (uint32_t x = to_y == first_y ? 8 : 0; first_x + x < end_x; ++x)
      out[OffsetOf(component, first_x + x, to_y)] =
          Chunk<Element>::Convert(tile, block, 8 * y + (x < 7 ? x : 7));
}

template <Transform kTransform>
JPEGRT_SHARED void TransformColumn(const UnpackComponent& component, UnpackTile& tile, uint32_t u,
                                   uint32_t block) {
  if constexpr (kTransform == Transform::kIslow) {
    uint32_t values[8];
    for (int v = 0; v < 8; ++v)
      values[v] = static_cast<uint32_t>(tile.coefficients[block][8 * v + u]) *
                  component.integer_steps[8 * v + u];
    IslowDct1d<int32_t>(values, kIslowFirstShift);
    for (int y = 0; y < 8; ++y) tile.integer_samples[block][8 * y + u] = values[y];
  } else {
    float values[8];
    for (int v = 0; v < 8; ++v)
      values[v] =
          static_cast<float>(tile.coefficients[block][8 * v + u]) * component.steps[8 * v + u];
    if constexpr (kTransform == Transform::kDct) InverseDct1d(values);
    for (int y = 0; y < 8; ++y) tile.samples[block][8 * y + u] = values[y];
  }
}

template <Transform kTransform>
JPEGRT_SHARED void TransformRow(UnpackTile& tile, uint32_t y, uint32_t block) {
  if constexpr (kTransform == Transform::kIslow) {
    uint32_t values[8];
    for (int u = 0; u < 8; ++u) values[u] = tile.integer_samples[block][8 * y + u];
    IslowDct1d<int32_t>(values, kIslowSecondShift);
    for (int x = 0; x < 8; ++x) tile.integer_samples[block][8 * y + x] = values[x];
  } else {
    float values[8];
    for (int u = 0; u < 8; ++u) values[u] = tile.samples[block][8 * y + u];
    InverseDct1d(values);
    for (int x = 0; x < 8; ++x) tile.samples[block][8 * y + x] = values[x];
  }
}

// Tile `index` of a launch.
template <bool kPacked, Transform kTransform, typename Element>
JPEGRT_SHARED void UnpackOneTile(const UnpackBatch& batch, uint32_t index, UnpackTile& tile,
                                 const Phases& phases) {
  phases.Block([&](uint32_t thread) {
    if (thread == 0) tile.Locate(batch, index);
  });
  const UnpackComponent& component = batch.component[tile.component];
  if constexpr (kPacked)
    LoadPacked(component, tile, phases);
  else
    LoadDense(component, tile, phases);

  phases.Block([&](uint32_t thread) {
    const uint32_t u = thread / kWarp, block = thread % kWarp;
    if (block < tile.blocks) TransformColumn<kTransform>(component, tile, u, block);
  });
  if constexpr (kTransform != Transform::kNone) {
    phases.Warp([&](uint32_t thread) {
      const uint32_t y = thread / kWarp, block = thread % kWarp;
      if (block < tile.blocks) TransformRow<kTransform>(tile, y, block);
    });
  }
  phases.Warp([&](uint32_t thread) { StoreRow<Element>(component, tile, thread); });
  if (component.grid_rows > component.rows || component.grid_columns > component.columns) {
    phases.Warp([&](uint32_t thread) {
      const uint32_t y = thread / kWarp, block = thread % kWarp;
      if (block < tile.blocks) ExtendEdges<Element>(component, tile, y, block);
    });
  }
}

}  // namespace jpegrt::cuda
