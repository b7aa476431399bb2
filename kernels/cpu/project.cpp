#include "project.h"

#include "../shared/projection.h"
#include "cell_layout.h"
#include "forward_dct.h"
#include "inverse_dct.h"
#include "simd.h"

namespace jpegrt {
namespace {

typedef int32_t Lanes8 __attribute__((vector_size(32), aligned(4), may_alias));

JPEGRT_INLINE bool Any(const Lanes8& lanes) {
  int32_t any = 0;
  for (int i = 0; i < 8; ++i) any |= lanes[i];
  return any != 0;
}

template <int W>
JPEGRT_INLINE void ProjectRows(const jpegrt_blocks& blocks, RowRange range, uint32_t height,
                               float scale, float slack, const float* cells, float* projected,
                               size_t pitch, size_t plane) {
  float steps[64];
  const float sign = scale < 0 ? -1.f : 1.f;
  for (int k = 0; k < 64; ++k) steps[k] = ProjectionStep(blocks.table[k], sign * scale);
  const auto* step = reinterpret_cast<const Float8*>(steps);
  const float half_width = 0.5f + slack;

  for (uint32_t row = range.first; row < range.last; ++row)
    for (uint32_t column = 0; column < blocks.columns; ++column) {
      const size_t corner = row * (8 / height) * pitch + static_cast<size_t>(column) * (8 / W);
      const auto* quantised = reinterpret_cast<const Short8*>(
          blocks.data + 64 * (static_cast<size_t>(row) * blocks.stride + column));
      Float8 samples[8], change[8];
      LoadCells<W>(cells + corner, height, pitch, plane, samples);
      for (int v = 0; v < 8; ++v) change[v] = samples[v];
      ForwardDct(change);
      Lanes8 changed = {}, not_projectable = {};
      for (int v = 0; v < 8; ++v) {
        const Float8 coefficient = change[v];
        const Float8 q = sign * __builtin_convertvector(quantised[v], Float8);
        change[v] = ChangeIntoInterval(coefficient, q, step[v], half_width);
        changed |= change[v] != 0;
        not_projectable |= ~IsProjectable(coefficient);
      }
      if (Any(not_projectable)) {  // nothing is known but the file
        for (int v = 0; v < 8; ++v) {
          samples[v] = Float8{};
          change[v] = sign * __builtin_convertvector(quantised[v], Float8) * step[v];
        }
        changed = ~Lanes8{};
      }
      // A block whose coefficients are all inside keeps its samples to the bit.
      if (Any(changed)) {
        InverseDct(change);
        for (int y = 0; y < 8; ++y) samples[y] += change[y] * kProjectedSampleGain;
      }
      StoreCells<W>(samples, height, projected + corner, pitch, plane);
    }
}

}  // namespace

JPEGRT_MULTIVERSIONED
void ProjectCells(const jpegrt_blocks& blocks, RowRange range, CellSize cell, float scale,
                  float slack, const float* cells, float* projected, size_t pitch, size_t plane) {
  switch (cell.width) {
    case 1:
      return ProjectRows<1>(blocks, range, cell.height, scale, slack, cells, projected, pitch,
                            plane);
    case 2:
      return ProjectRows<2>(blocks, range, cell.height, scale, slack, cells, projected, pitch,
                            plane);
    case 4:
      return ProjectRows<4>(blocks, range, cell.height, scale, slack, cells, projected, pitch,
                            plane);
    default:
      return ProjectRows<8>(blocks, range, cell.height, scale, slack, cells, projected, pitch,
                            plane);
  }
}

}  // namespace jpegrt
