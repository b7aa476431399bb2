// Samples upsampled as libjpeg does it, and into cells: each thread makes one element.
#pragma once

#include "phases.h"
#include "upsample_arguments.h"

namespace jpegrt::cuda {

// libjpeg's "fancy" upsampling, bit for bit; kernels/cpu/upsample.cpp is its twin.
JPEGRT_SHARED int32_t UpsampledSample(const SamplePlane& plane, uint32_t x, uint32_t y) {
  const uint32_t h = plane.h, v = plane.v;
  if (h == 1 && v == 1) return plane.samples[static_cast<uint64_t>(y) * plane.pitch + x];
  const uint32_t row = y / v;
  const bool upper = y % v == 0;
  const uint32_t far_row = upper ? (row > 0 ? row - 1 : 0) : row + 1 < plane.height ? row + 1 : row;
  const uint8_t* near = plane.samples + static_cast<uint64_t>(row) * plane.pitch;
  const uint8_t* far = plane.samples + static_cast<uint64_t>(far_row) * plane.pitch;
  if (h == 1 && v == 2) return (3 * near[x] + far[x] + (upper ? 1 : 2)) >> 2;
  if (h != 2 || v > 2 || plane.width <= 2) return near[x / h];

  const uint32_t i = x / 2, last = plane.width - 1;
  const bool left = x % 2 == 0;
  const bool edge = left ? i == 0 : i == last;
  const uint32_t neighbour = edge ? i : left ? i - 1 : i + 1;
  if (v == 1) return edge ? near[i] : (3 * near[i] + near[neighbour] + (left ? 1 : 2)) >> 2;
  const int32_t sum = 3 * near[i] + far[i], beside = 3 * near[neighbour] + far[neighbour];
  return (3 * sum + beside + (left ? 8 : 7)) >> 4;
}

JPEGRT_SHARED uint32_t Least(uint32_t a, uint32_t b) { return a < b ? a : b; }

JPEGRT_SHARED void CellsFromSamples(const UpsampledCells& to, uint32_t block,
                                    const Phases& phases) {
  phases.Block([&](uint32_t thread) {
    const uint32_t r = to.log2_cell, mask = (1u << r) - 1;
    const uint64_t plane_size = static_cast<uint64_t>(to.rows) * to.columns;
    const uint64_t index = static_cast<uint64_t>(block) * kThreads + thread;
    const uint32_t plane = static_cast<uint32_t>(index / plane_size);
    if (plane >> 2 * r) return;
    const uint64_t in_plane = index % plane_size;
    const uint32_t row = static_cast<uint32_t>(in_plane / to.columns);
    const uint32_t column = static_cast<uint32_t>(in_plane % to.columns);
    const uint32_t x = Least((column << r) + (plane & mask), to.width - 1);
    const uint32_t y = Least((row << r) + (plane >> r), to.height - 1);
    const auto level = static_cast<float>(UpsampledSample(to.samples, x, y));
    to.cells[index] = (level - 128) * to.scale;
  });
}

}  // namespace jpegrt::cuda
