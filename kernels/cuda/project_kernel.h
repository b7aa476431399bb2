// Cells moved into the file's quantisation intervals, 32 blocks at a time; kernels/cpu/project.cpp
// is the twin.
#pragma once

#include "../shared/dct.h"
#include "../shared/projection.h"
#include "cell_rows.h"
#include "packed_tile.h"
#include "phases.h"
#include "project_arguments.h"
#include "registers.h"
#include "unpack_tile.h"

namespace jpegrt::cuda {

// What a row of a block's coefficients asks for; that of the block is the largest of its rows'.
enum : uint32_t { kKeep = 0, kChange = 1, kTakeFiles = 2 };

// `samples` are the block's, then what the transforms make of them.
struct ProjectTile : UnpackTile {
  uint32_t demands[8][kTileBlocks];

  JPEGRT_SHARED uint32_t DemandOf(uint32_t block) const {
    uint32_t largest = kKeep;
    for (int v = 0; v < 8; ++v)
      if (demands[v][block] > largest) largest = demands[v][block];
    return largest;
  }
};

// A row of a block as it was, kept by the thread that writes it.
struct ProjectRegisters {
  float samples[8];
};

// Of a row of coefficients, multiplied by 8, makes their changes.
JPEGRT_SHARED void ChangeRow(const UnpackComponent& component, ProjectTile& tile, float half_width,
                             uint32_t v, uint32_t block) {
  float values[8];
  for (int x = 0; x < 8; ++x) values[x] = tile.samples[block][8 * v + x];
  ForwardDct1d(values);
  bool changes = false, projectable = true;
  for (int u = 0; u < 8; ++u) {
    const float coefficient = values[u];
    values[u] =
        ChangeIntoInterval(coefficient, static_cast<float>(tile.coefficients[block][8 * v + u]),
                           component.steps[8 * v + u], half_width);
    changes |= values[u] != 0;
    projectable &= IsProjectable(coefficient);
  }
  tile.demands[v][block] = !projectable ? kTakeFiles : changes ? kChange : kKeep;
  for (int u = 0; u < 8; ++u) tile.samples[block][8 * v + u] = values[u];
}

JPEGRT_SHARED void InverseColumn(const UnpackComponent& component, ProjectTile& tile, uint32_t u,
                                 uint32_t block) {
  const uint32_t demand = tile.DemandOf(block);
  if (demand == kKeep) return;
  float values[8];
  for (int v = 0; v < 8; ++v)
    values[v] = demand == kTakeFiles ? static_cast<float>(tile.coefficients[block][8 * v + u]) *
                                           component.steps[8 * v + u]
                                     : tile.samples[block][8 * v + u];
  InverseDct1d(values);
  for (int y = 0; y < 8; ++y) tile.samples[block][8 * y + u] = values[y];
}

// Row y of the result. A block that keeps its samples keeps them to the bit.
JPEGRT_SHARED void AddRow(const ProjectRegisters& before, ProjectTile& tile, uint32_t y,
                          uint32_t block) {
  const uint32_t demand = tile.DemandOf(block);
  float changes[8] = {};
  if (demand != kKeep) {
    for (int x = 0; x < 8; ++x) changes[x] = tile.samples[block][8 * y + x];
    InverseDct1d(changes);
  }
  JPEGRT_UNROLL
  for (int x = 0; x < 8; ++x) {
    const float sample = demand == kTakeFiles ? 0 : before.samples[x];
    tile.samples[block][8 * y + x] =
        demand == kKeep ? sample : sample + changes[x] * kProjectedSampleGain;
  }
}

// Tile `index` of a launch.
template <bool kPacked, typename Element>
JPEGRT_SHARED void ProjectOneTile(const ProjectBatch& batch, uint32_t index, ProjectTile& tile,
                                  Registers<ProjectRegisters>& registers, const Phases& phases) {
  phases.Block([&](uint32_t thread) {
    if (thread == 0) tile.Locate(batch, index);
  });
  const ProjectComponent& component = batch.component[tile.component];
  if constexpr (kPacked)
    LoadPacked(component, tile, phases);
  else
    LoadDense(component, tile, phases);
  phases.Warp([&](uint32_t thread) { LoadRow<Element>(component, component.cells, tile, thread); });

  // A thread works on a row or a column, one of 8, of one block: `work` gets both.
  const auto for_each_block = [&](uint32_t thread, const auto& work) {
    const uint32_t line = thread / kWarp, block = thread % kWarp;
    if (block < tile.blocks) work(line, block);
  };
  phases.Block([&](uint32_t thread) {
    for_each_block(thread, [&](uint32_t y, uint32_t block) {
      JPEGRT_UNROLL
      for (int x = 0; x < 8; ++x) registers.of(thread).samples[x] = tile.samples[block][8 * y + x];
    });
  });
  phases.Block([&](uint32_t thread) {
    for_each_block(thread, [&](uint32_t x, uint32_t block) {
      float values[8];
      for (int y = 0; y < 8; ++y) values[y] = tile.samples[block][8 * y + x];
      ForwardDct1d(values);
      for (int v = 0; v < 8; ++v) tile.samples[block][8 * v + x] = values[v];
    });
  });
  phases.Block([&](uint32_t thread) {
    for_each_block(thread, [&](uint32_t v, uint32_t block) {
      ChangeRow(component, tile, batch.half_width, v, block);
    });
  });
  phases.Block([&](uint32_t thread) {
    for_each_block(thread,
                   [&](uint32_t u, uint32_t block) { InverseColumn(component, tile, u, block); });
  });
  phases.Warp([&](uint32_t thread) {
    for_each_block(
        thread, [&](uint32_t y, uint32_t block) { AddRow(registers.of(thread), tile, y, block); });
  });
  phases.Warp([&](uint32_t thread) { StoreRow<Element>(component, tile, thread); });
}

}  // namespace jpegrt::cuda
