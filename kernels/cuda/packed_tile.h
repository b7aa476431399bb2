// A run of the packed format into a tile; kernels/README.md has the format.
#pragma once

#include "phases.h"
#include "unpack_arguments.h"
#include "unpack_tile.h"

namespace jpegrt::cuda {

constexpr uint32_t kPackedHeaderWords = 8;
constexpr uint32_t kBlockWords = 32;

// Raster index of each zigzag position (T.81, figure A.6).
JPEGRT_CONSTANT const uint8_t kRasterFromZigzag[64] = {
    0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,  12, 19, 26, 33, 40, 48,
    41, 34, 27, 20, 13, 6,  7,  14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23,
    30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63};

// A byte of the run. The mask keeps reads inside the tile whatever the stream holds.
JPEGRT_SHARED uint32_t RunByte(const UnpackTile& tile, uint32_t index) {
  return reinterpret_cast<const uint8_t*>(tile.run)[index & (4 * kTileBlocks * kBlockWords - 1)];
}

// Of one block, what comes before group `group`.
JPEGRT_SHARED uint64_t BytesBelow(uint64_t bytes, uint32_t group) {
  return bytes & ((uint64_t{1} << (8 * group)) - 1);
}

JPEGRT_SHARED uint32_t SumOfBytes(uint64_t bytes) {
  return static_cast<uint32_t>(bytes * 0x0101010101010101u >> 56);
}

JPEGRT_SHARED uint32_t MaskOf(const UnpackTile& tile, uint32_t block, uint32_t group) {
  return static_cast<uint32_t>(tile.masks[block] >> (8 * group)) & 255;
}

// Byte of the run where the values of a group begin.
JPEGRT_SHARED uint32_t ValuesOf(const UnpackTile& tile, uint32_t block, uint32_t group) {
  return tile.blocks + tile.first_mask[kTileBlocks] + tile.first_value[block] +
         BitsSet(BytesBelow(tile.masks[block], group));
}

JPEGRT_SHARED void DecodeSparse(UnpackTile& tile, uint32_t run_words, const Phases& phases) {
  phases.Warp([&](uint32_t thread) {
    if (thread < kWarp)
      tile.first_mask[thread] = thread < tile.blocks ? BitsSet(RunByte(tile, thread)) : 0;
  });
  phases.Block([&](uint32_t thread) {
    if (thread < kWarp) SumsBefore(tile.first_mask, thread);
  });
  phases.Block([&](uint32_t thread) {
    const uint32_t block = thread / 8, group = thread % 8;
    const uint32_t groups = block < tile.blocks ? RunByte(tile, block) : 0;
    const uint32_t mask =
        tile.blocks + tile.first_mask[block] + BitsSet(groups & ((1u << group) - 1));
    reinterpret_cast<uint8_t*>(&tile.masks[block])[group] =
        static_cast<uint8_t>(groups >> group & 1 ? RunByte(tile, mask) : 0);
  });
  phases.Warp([&](uint32_t thread) {
    if (thread < kWarp) tile.first_value[thread] = BitsSet(tile.masks[thread]);
  });
  phases.Block([&](uint32_t thread) {
    if (thread < kWarp) SumsBefore(tile.first_value, thread);
  });

  const uint32_t first_escape =
      tile.blocks + tile.first_mask[kTileBlocks] + tile.first_value[kTileBlocks];
  const bool may_have_escapes = first_escape + 2 <= 4 * run_words;  // or 2 or 3 bytes of padding
  if (may_have_escapes) {
    phases.Block([&](uint32_t thread) {
      const uint32_t block = thread / 8, group = thread % 8;
      const uint32_t first = ValuesOf(tile, block, group);
      const uint32_t end = first + BitsSet(MaskOf(tile, block, group));
      uint32_t count = 0;
      for (uint32_t value = first; value < end; ++value) count += RunByte(tile, value) == 0x80;
      reinterpret_cast<uint8_t*>(&tile.escapes[block])[group] = static_cast<uint8_t>(count);
    });
    phases.Warp([&](uint32_t thread) {
      if (thread < kWarp) tile.first_escape[thread] = SumOfBytes(tile.escapes[thread]);
    });
    phases.Block([&](uint32_t thread) {
      if (thread < kWarp) SumsBefore(tile.first_escape, thread);
    });
  }
  phases.Block([&](uint32_t thread) {
    const uint32_t block = thread / 8, group = thread % 8;
    uint32_t value = ValuesOf(tile, block, group), escape = 0;
    if (may_have_escapes)
      escape = first_escape +
               2 * (tile.first_escape[block] + SumOfBytes(BytesBelow(tile.escapes[block], group)));
    const uint32_t mask = MaskOf(tile, block, group);
    for (uint32_t bit = 0; bit < 8; ++bit) {
      if (!(mask >> bit & 1)) continue;
      int32_t coefficient = static_cast<int8_t>(RunByte(tile, value++));
      if (coefficient == -128) {
        coefficient = static_cast<int32_t>(RunByte(tile, escape) | RunByte(tile, escape + 1) << 8);
        escape += 2;
      }
      tile.coefficients[block][kRasterFromZigzag[8 * group + bit]] =
          static_cast<int16_t>(coefficient);
    }
  });
  phases.Warp([&](uint32_t thread) {
    if (thread < kWarp) tile.dc[thread] = static_cast<uint32_t>(tile.coefficients[thread][0]);
  });
  phases.Warp([&](uint32_t thread) {
    if (thread < kWarp) SumsBefore(tile.dc, thread);
  });
  phases.Block([&](uint32_t thread) {
    if (thread < kWarp) tile.coefficients[thread][0] = static_cast<int16_t>(tile.dc[thread + 1]);
  });
}

JPEGRT_SHARED void LoadPacked(const UnpackComponent& component, UnpackTile& tile,
                              const Phases& phases) {
  const uint32_t* const index = static_cast<const uint32_t*>(component.source) + kPackedHeaderWords;
  const uint32_t n_blocks = component.rows * component.columns;
  const uint32_t runs = (n_blocks + kTileBlocks - 1) / kTileBlocks;
  const uint32_t run = tile.first_block / kTileBlocks;
  const uint32_t begin = index[run], dense_words = kBlockWords * tile.blocks;
  const uint32_t length = index[run + 1] - begin;
  const uint32_t run_words = length < dense_words ? length : dense_words;
  const uint32_t* const words = index + runs + 1 + begin;
  if (run_words == dense_words) {
    phases.Block([&](uint32_t thread) {
      for (uint32_t i = thread; i < dense_words; i += kThreads)
        tile.coefficient_words[i / kBlockWords][i % kBlockWords] = words[i];
    });
    return;
  }
  phases.Block([&](uint32_t thread) {
    for (uint32_t i = thread; i < run_words; i += kThreads) tile.run[i] = words[i];
    for (uint32_t i = thread; i < kTileBlocks * kBlockWords; i += kThreads)
      tile.coefficient_words[i / kBlockWords][i % kBlockWords] = 0;
  });
  DecodeSparse(tile, run_words, phases);
}

}  // namespace jpegrt::cuda
