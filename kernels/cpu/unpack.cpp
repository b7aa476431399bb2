#include "unpack.h"

#include <cstring>

#include "inverse_dct.h"
#include "islow.h"
#include "simd.h"

namespace jpegrt {
namespace {

const int16_t* BlockAt(const jpegrt_blocks& blocks, uint32_t row, uint32_t column) {
  return blocks.data + 64 * (static_cast<size_t>(row) * blocks.stride + column);
}

void ScaledSteps(const jpegrt_blocks& blocks, float scale, float steps[64]) {
  for (int k = 0; k < 64; ++k) steps[k] = static_cast<float>(blocks.table[k]) * scale;
}

// Sample (x, y) of a block goes to plane (y % height) * W + x % W, cell (x / W, y / height).
template <int W>
JPEGRT_INLINE void StoreCells(const Float8 rows[8], uint32_t height, float* cells, size_t pitch,
                              size_t plane) {
  for (uint32_t y = 0; y < 8; ++y) {
    float* row = cells + (y % height) * W * plane + (y / height) * pitch;
    if constexpr (W == 2) {  // the common case; GCC does not see it in the general loop
      const auto even = __builtin_shufflevector(rows[y], rows[y], 0, 2, 4, 6);
      const auto odd = __builtin_shufflevector(rows[y], rows[y], 1, 3, 5, 7);
      std::memcpy(row, &even, sizeof even);
      std::memcpy(row + plane, &odd, sizeof odd);
    } else {
      for (int dx = 0; dx < W; ++dx)
        for (int x = 0; x < 8 / W; ++x) row[dx * plane + x] = rows[y][x * W + dx];
    }
  }
}

template <int W>
JPEGRT_INLINE void CellRows(const jpegrt_blocks& blocks, RowRange range, uint32_t height,
                            const float steps[64], float* cells, size_t pitch, size_t plane) {
  for (uint32_t row = range.first; row < range.last; ++row)
    for (uint32_t column = 0; column < blocks.columns; ++column) {
      Float8 samples[8];
      Dequantise(BlockAt(blocks, row, column), steps, samples);
      InverseDct(samples);
      float* corner = cells + row * (8 / height) * pitch + static_cast<size_t>(column) * (8 / W);
      StoreCells<W>(samples, height, corner, pitch, plane);
    }
}

}  // namespace

JPEGRT_MULTIVERSIONED
void SpectrumFromBlocks(const jpegrt_blocks& blocks, RowRange range, float scale, float* spectrum) {
  float steps[64];
  ScaledSteps(blocks, scale, steps);
  const size_t plane = static_cast<size_t>(blocks.rows) * blocks.columns;
  for (uint32_t row = range.first; row < range.last; ++row)
    for (int k = 0; k < 64; ++k) {
      const int16_t* first = BlockAt(blocks, row, 0) + k;
      float* out = spectrum + k * plane + static_cast<size_t>(row) * blocks.columns;
      for (uint32_t column = 0; column < blocks.columns; ++column)
        out[column] = static_cast<float>(first[64 * static_cast<size_t>(column)]) * steps[k];
    }
}

JPEGRT_MULTIVERSIONED
void CoefficientPlaneFromBlocks(const jpegrt_blocks& blocks, RowRange range, float scale,
                                float* plane) {
  float steps[64];
  ScaledSteps(blocks, scale, steps);
  const size_t pitch = 8 * static_cast<size_t>(blocks.columns);
  for (uint32_t row = range.first; row < range.last; ++row)
    for (uint32_t column = 0; column < blocks.columns; ++column) {
      const int16_t* block = BlockAt(blocks, row, column);
      float* corner = plane + 8 * row * pitch + 8 * static_cast<size_t>(column);
      for (int v = 0; v < 8; ++v)
        for (int u = 0; u < 8; ++u)
          corner[v * pitch + u] = static_cast<float>(block[8 * v + u]) * steps[8 * v + u];
    }
}

JPEGRT_MULTIVERSIONED
void CellsFromBlocks(const jpegrt_blocks& blocks, RowRange range, CellSize cell, float scale,
                     float* cells, size_t pitch, size_t plane) {
  float steps[64];
  ScaledSteps(blocks, scale / 8, steps);  // InverseDct returns samples times 8
  switch (cell.width) {
    case 1:
      return CellRows<1>(blocks, range, cell.height, steps, cells, pitch, plane);
    case 2:
      return CellRows<2>(blocks, range, cell.height, steps, cells, pitch, plane);
    case 4:
      return CellRows<4>(blocks, range, cell.height, steps, cells, pitch, plane);
    default:
      return CellRows<8>(blocks, range, cell.height, steps, cells, pitch, plane);
  }
}

JPEGRT_MULTIVERSIONED
void SamplesFromBlocks(const jpegrt_blocks& blocks, RowRange range, uint8_t* samples,
                       size_t pitch) {
  Word8 steps[8];
  for (int k = 0; k < 64; ++k) steps[k / 8][k % 8] = blocks.table[k];
  for (uint32_t row = range.first; row < range.last; ++row)
    for (uint32_t column = 0; column < blocks.columns; ++column) {
      const auto* block = reinterpret_cast<const Short8*>(BlockAt(blocks, row, column));
      Word8 rows[8];
      for (int v = 0; v < 8; ++v)
        rows[v] = (Word8) __builtin_convertvector(block[v], Int32x8) * steps[v];
      IslowDct(rows);
      uint8_t* corner = samples + 8 * row * pitch + 8 * static_cast<size_t>(column);
      for (int y = 0; y < 8; ++y)
        for (int x = 0; x < 8; ++x) corner[y * pitch + x] = LevelFromIslow(rows[y][x]);
    }
}

}  // namespace jpegrt
