#include "unpack.h"

#include "cell_layout.h"
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
void SpectrumFromBlocks(const jpegrt_blocks& blocks, RowRange range, float scale, float* spectrum,
                        size_t pitch, size_t plane) {
  float steps[64];
  ScaledSteps(blocks, scale, steps);
  for (uint32_t row = range.first; row < range.last; ++row)
    for (int k = 0; k < 64; ++k) {
      const int16_t* first = BlockAt(blocks, row, 0) + k;
      float* out = spectrum + k * plane + row * pitch;
      for (uint32_t column = 0; column < blocks.columns; ++column)
        out[column] = static_cast<float>(first[64 * static_cast<size_t>(column)]) * steps[k];
    }
}

JPEGRT_MULTIVERSIONED
void CoefficientPlaneFromBlocks(const jpegrt_blocks& blocks, RowRange range, float scale,
                                float* plane, size_t pitch) {
  float steps[64];
  ScaledSteps(blocks, scale, steps);
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
