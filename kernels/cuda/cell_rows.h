// Rows of cells between a tile in shared memory and a component's planes, in chunks of 16 bytes
// where its whole_chunks allows them, element by element elsewhere.
#pragma once

#include <type_traits>

#include "../shared/dct.h"
#include "../shared/half.h"
#include "phases.h"
#include "unpack_arguments.h"
#include "unpack_tile.h"

namespace jpegrt::cuda {

JPEGRT_SHARED uint32_t BitsOf(float value) {
#if defined(__CUDACC__)
  return __float_as_uint(value);
#else
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
#endif
}

JPEGRT_SHARED float FloatOfBits(uint32_t bits) {
#if defined(__CUDACC__)
  return __uint_as_float(bits);
#else
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
#endif
}

// How many elements make a chunk, what words they make, and what they are of the tile's samples.
template <typename Element>
struct Chunk;

template <>
struct Chunk<float> {
  static constexpr uint32_t kLog2Size = 2;
  JPEGRT_SHARED static float Convert(const UnpackTile& tile, uint32_t block, uint32_t sample) {
    return tile.samples[block][sample];
  }
  JPEGRT_SHARED static void Load(const float* from, float elements[4]) {
    const Words4 words = LoadWords(from);
    for (int i = 0; i < 4; ++i) elements[i] = FloatOfBits(words.words[i]);
  }
  JPEGRT_SHARED static void Store(const float elements[4], float* out) {
    Words4 words;
    for (int i = 0; i < 4; ++i) words.words[i] = BitsOf(elements[i]);
    StoreWords(words, out);
  }
};

template <>
struct Chunk<Half> {
  static constexpr uint32_t kLog2Size = 3;
  JPEGRT_SHARED static Half Convert(const UnpackTile& tile, uint32_t block, uint32_t sample) {
    return HalfFromFloat(tile.samples[block][sample]);
  }
  JPEGRT_SHARED static void Load(const Half* from, Half elements[8]) {
    const Words4 words = LoadWords(from);
    for (int i = 0; i < 8; ++i)
      elements[i] = {static_cast<uint16_t>(words.words[i / 2] >> (16 * (i % 2)))};
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

// Where the sample at pixel (x, y) is, as an element of the component's planes.
JPEGRT_SHARED uint64_t OffsetOf(const UnpackComponent& component, uint32_t x, uint32_t y) {
  const uint32_t w = component.log2_width, h = component.log2_height;
  const uint32_t plane = ((y & ((1u << h) - 1)) << w) | (x & ((1u << w) - 1));
  return plane * component.plane + static_cast<uint64_t>(y >> h) * component.pitch + (x >> w);
}

// Neighbouring cells of one plane: where the first is in global memory, and where each is in the
// tile.
template <int kLog2Width, uint32_t kLog2Size>
struct CellRun {
  static constexpr uint32_t kSize = 1u << kLog2Size;
  static constexpr uint32_t kLog2Cells = 3 - kLog2Width;  // in a block's row

  uint64_t offset;
  uint32_t block, sample;

  JPEGRT_SHARED uint32_t BlockOf(uint32_t i) const { return block + (i >> kLog2Cells); }
  JPEGRT_SHARED uint32_t SampleOf(uint32_t i) const {
    return sample + ((i & ((1u << kLog2Cells) - 1)) << kLog2Width);
  }
};

// Row y of every block in the tile, by warp y: `visit` gets one CellRun after another.
template <int kLog2Width, uint32_t kLog2Size, typename Visit>
JPEGRT_SHARED void ForCellsOfRow(const UnpackComponent& component, const UnpackTile& tile,
                                 uint32_t thread, const Visit& visit) {
  using Run = CellRun<kLog2Width, kLog2Size>;
  constexpr uint32_t log2_runs = 5 + Run::kLog2Cells - kLog2Size;  // in a plane's row
  const uint32_t y = thread / kWarp;
  for (uint32_t run = thread % kWarp; run < 256 / Run::kSize; run += kWarp) {
    const uint32_t dx = run >> log2_runs;
    const uint32_t cell = (run & ((1u << log2_runs) - 1)) << kLog2Size;
    const uint32_t block = cell >> Run::kLog2Cells;
    const uint32_t x = ((cell & ((1u << Run::kLog2Cells) - 1)) << kLog2Width) + dx;
    if (block >= tile.blocks) continue;
    const BlockPosition position = tile.PositionOf(block, component.columns);
    visit(
        Run{OffsetOf(component, 8 * position.column + x, 8 * position.row + y), block, 8 * y + x});
  }
}

template <int kLog2Width, typename Element, typename Visit>
JPEGRT_SHARED void ForCellsOfRow(const UnpackComponent& component, const UnpackTile& tile,
                                 uint32_t thread, const Visit& visit) {
  if (component.whole_chunks)
    ForCellsOfRow<kLog2Width, Chunk<Element>::kLog2Size>(component, tile, thread, visit);
  else
    ForCellsOfRow<kLog2Width, 0>(component, tile, thread, visit);
}

template <typename Element, typename Visit>
JPEGRT_SHARED void ForCellsOfRow(const UnpackComponent& component, const UnpackTile& tile,
                                 uint32_t thread, const Visit& visit) {
  switch (component.log2_width) {
    case 0:
      return ForCellsOfRow<0, Element>(component, tile, thread, visit);
    case 1:
      return ForCellsOfRow<1, Element>(component, tile, thread, visit);
    case 2:
      return ForCellsOfRow<2, Element>(component, tile, thread, visit);
    default:
      return ForCellsOfRow<3, Element>(component, tile, thread, visit);
  }
}

// The samples of row y, by warp y, into the component's output.
template <typename Element>
JPEGRT_SHARED void StoreRow(const UnpackComponent& component, const UnpackTile& tile,
                            uint32_t thread) {
  ForCellsOfRow<Element>(component, tile, thread, [&](const auto& run) {
    constexpr uint32_t size = std::decay_t<decltype(run)>::kSize;
    Element elements[size];
    for (uint32_t i = 0; i < size; ++i)
      elements[i] = Chunk<Element>::Convert(tile, run.BlockOf(i), run.SampleOf(i));
    Element* const out = static_cast<Element*>(component.out) + run.offset;
    if constexpr (size == 1)
      *out = elements[0];
    else
      Chunk<Element>::Store(elements, out);
  });
}

// And from `cells`, laid out as the output is; `cells` may be the output.
template <typename Element>
JPEGRT_SHARED void LoadRow(const UnpackComponent& component, const void* cells, UnpackTile& tile,
                           uint32_t thread) {
  ForCellsOfRow<Element>(component, tile, thread, [&](const auto& run) {
    constexpr uint32_t size = std::decay_t<decltype(run)>::kSize;
    const Element* const from = static_cast<const Element*>(cells) + run.offset;
    Element elements[size];
    if constexpr (size == 1)
      elements[0] = *from;
    else
      Chunk<Element>::Load(from, elements);
    for (uint32_t i = 0; i < size; ++i)
      tile.samples[run.BlockOf(i)][run.SampleOf(i)] = FloatFrom(elements[i]);
  });
}

}  // namespace jpegrt::cuda
