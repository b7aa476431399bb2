// Blocks into what networks take, and into plain samples, 32 blocks at a time.
//
// One kernel covers every layout. A spectral tensor is cells of 8 x 8 without an inverse DCT, and a
// coefficient plane is cells of 1 x 1 without it. Samples are cells of 1 x 1 too, of bytes.
//
// The tile's rows in shared memory have odd lengths, in words: the threads of a warp that work on
// one position in 32 blocks then meet 32 different banks.
#pragma once

#include "../shared/dct.h"
#include "../shared/half.h"
#include "packed_tile.h"
#include "phases.h"
#include "unpack_arguments.h"
#include "unpack_tile.h"

namespace jpegrt::cuda {

enum class Transform { kNone, kDct, kIslow };

// How many elements make a chunk, and what words they make.
template <typename Element>
struct Chunk;

template <>
struct Chunk<float> {
  static constexpr uint32_t kLog2Size = 2;
  JPEGRT_SHARED static float Convert(const UnpackTile& tile, uint32_t block, uint32_t sample) {
    return tile.samples[block][sample];
  }
  JPEGRT_SHARED static void Store(const float elements[4], float* out) {
    Words4 words;
    for (int i = 0; i < 4; ++i) words.words[i] = BitsOf(elements[i]);
    StoreWords(words, out);
  }
  JPEGRT_SHARED static uint32_t BitsOf(float value) {
#if defined(__CUDACC__)
    return __float_as_uint(value);
#else
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
#endif
  }
};

template <>
struct Chunk<Half> {
  static constexpr uint32_t kLog2Size = 3;
  JPEGRT_SHARED static Half Convert(const UnpackTile& tile, uint32_t block, uint32_t sample) {
    return HalfFromFloat(tile.samples[block][sample]);
  }
  JPEGRT_SHARED static void Store(const Half elements[8], Half* out) {
    Words4 words;
    for (int i = 0; i < 4; ++i)
      words.words[i] = elements[2 * i].bits | static_cast<uint32_t>(elements[2 * i + 1].bits) << 16;
    StoreWords(words, out);
  }
};

template <>
struct Chunk<uint8_t> {
  static constexpr uint32_t kLog2Size = 4;
  JPEGRT_SHARED static uint8_t Convert(const UnpackTile& tile, uint32_t block, uint32_t sample) {
    return LevelFromIslow(tile.integer_samples[block][sample]);
  }
  JPEGRT_SHARED static void Store(const uint8_t elements[16], uint8_t* out) {
    Words4 words;
    for (int i = 0; i < 4; ++i) {
      const uint8_t* four = elements + 4 * i;
      words.words[i] =
          four[0] | four[1] << 8 | four[2] << 16 | static_cast<uint32_t>(four[3]) << 24;
    }
    StoreWords(words, out);
  }
};

// Where the sample at pixel (x, y) goes, as an element of the component's output.
JPEGRT_SHARED uint64_t OffsetOf(const UnpackComponent& component, uint32_t x, uint32_t y) {
  const uint32_t w = component.log2_width, h = component.log2_height;
  const uint32_t plane = ((y & ((1u << h) - 1)) << w) | (x & ((1u << w) - 1));
  return plane * component.plane + static_cast<uint64_t>(y >> h) * component.pitch + (x >> w);
}

// Row y of every block in the tile, by warp y: kSize cells of one plane at a time.
template <int kLog2Width, uint32_t kLog2Size, typename Element>
JPEGRT_SHARED void StoreRow(const UnpackComponent& component, const UnpackTile& tile, uint32_t y,
                            uint32_t lane) {
  constexpr uint32_t size = 1u << kLog2Size;
  constexpr uint32_t log2_cells = 3 - kLog2Width, cells = 1u << log2_cells;  // in a block's row
  constexpr uint32_t log2_chunks = 5 + log2_cells - kLog2Size;               // in a plane's row
  for (uint32_t chunk = lane; chunk < 256 / size; chunk += kWarp) {
    const uint32_t dx = chunk >> log2_chunks;
    const uint32_t cell = (chunk & ((1u << log2_chunks) - 1)) << kLog2Size;
    const uint32_t block = cell >> log2_cells, x = ((cell & (cells - 1)) << kLog2Width) + dx;
    if (block >= tile.blocks) continue;
    Element elements[size];
    for (uint32_t i = 0; i < size; ++i)
      elements[i] = Chunk<Element>::Convert(tile, block + (i >> log2_cells),
                                            8 * y + x + ((i & (cells - 1)) << kLog2Width));
    const BlockPosition position = tile.PositionOf(block, component.columns);
    Element* out = static_cast<Element*>(component.out) +
                   OffsetOf(component, 8 * position.column + x, 8 * position.row + y);
    if constexpr (size == 1)
      *out = elements[0];
    else
      Chunk<Element>::Store(elements, out);
  }
}

template <int kLog2Width, typename Element>
JPEGRT_SHARED void StoreRow(const UnpackComponent& component, const UnpackTile& tile, uint32_t y,
                            uint32_t lane) {
  if (component.whole_chunks)
    StoreRow<kLog2Width, Chunk<Element>::kLog2Size, Element>(component, tile, y, lane);
  else
    StoreRow<kLog2Width, 0, Element>(component, tile, y, lane);
}

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
  phases.Warp([&](uint32_t thread) {
    const uint32_t y = thread / kWarp, lane = thread % kWarp;
    switch (component.log2_width) {
      case 0:
        return StoreRow<0, Element>(component, tile, y, lane);
      case 1:
        return StoreRow<1, Element>(component, tile, y, lane);
      case 2:
        return StoreRow<2, Element>(component, tile, y, lane);
      default:
        return StoreRow<3, Element>(component, tile, y, lane);
    }
  });
  if (component.grid_rows > component.rows || component.grid_columns > component.columns) {
    phases.Warp([&](uint32_t thread) {
      const uint32_t y = thread / kWarp, block = thread % kWarp;
      if (block < tile.blocks) ExtendEdges<Element>(component, tile, y, block);
    });
  }
}

}  // namespace jpegrt::cuda
