// Finds the borders between blocks that stand out: a thread for each side that two blocks share,
// then all of them for the keys. kernels/cpu/blocking_edges.cpp is the twin.
#pragma once

#include "../shared/block_border.h"
#include "../shared/half.h"
#include "blocking_edges_arguments.h"
#include "phases.h"

namespace jpegrt::cuda {

// Whether a side stands out. Borders between columns of blocks are crossed along x; of the sides
// along them, the first and the last lie half in the tile.
struct EdgeTile {
  uint8_t between_columns[kEdgeBlocksDown + 1][kEdgeBlocksAcross];
  uint8_t between_rows[kEdgeBlocksDown][kEdgeBlocksAcross + 1];
};

// An axis of the image: the one that a border is crossed along, or the one that it runs along.
struct EdgeAxis {
  int32_t size;
  uint32_t step;  // samples from one pixel to the next
};

// Of the side of up to 8 pixels that begins at `first`, perhaps before the image, in front of pixel
// `border` of the other axis. `value` is the image.
template <typename Sample>
JPEGRT_SHARED bool StandsOut(const BlockingEdgesArguments& arguments, const Sample* value,
                             const EdgeAxis& across, const EdgeAxis& along, int32_t border,
                             int32_t first) {
  if (border < 2 || border + 1 >= across.size) return false;
  const int32_t begin = first > 0 ? first : 0;
  const int32_t end = first + 8 < along.size ? first + 8 : along.size;
  if (begin >= end) return false;
  const uint64_t plane = static_cast<uint64_t>(arguments.height) * arguments.width;
  const uint32_t step = across.step;
  BorderSteps steps;
  for (uint32_t c = 0; c < arguments.channels; ++c)
    for (int32_t i = begin; i < end; ++i) {
      const Sample* const pixel = value + c * plane + static_cast<uint64_t>(i) * along.step +
                                  static_cast<uint64_t>(border) * step;
      steps.Add(FloatFrom(*(pixel - 2 * step)), FloatFrom(*(pixel - step)), FloatFrom(*pixel),
                FloatFrom(*(pixel + step)));
    }
  return steps.StandOut(static_cast<uint64_t>(end - begin) * arguments.channels, arguments.ratio,
                        arguments.least_step);
}

// Tile `index` of a launch.
template <typename Sample>
JPEGRT_SHARED void FindEdgesOfTile(const BlockingEdgesArguments& arguments, uint32_t index,
                                   EdgeTile& tile, const Phases& phases) {
  const uint32_t tiles = arguments.tiles_across * arguments.tiles_down;
  const uint32_t in_image = index % tiles;
  const int32_t first_x = static_cast<int32_t>(in_image % arguments.tiles_across * kEdgeTileWidth -
                                               arguments.pixels_before_x);
  const int32_t first_y = static_cast<int32_t>(in_image / arguments.tiles_across * kEdgeTileHeight -
                                               arguments.pixels_before_y);
  const uint64_t pixels = static_cast<uint64_t>(arguments.height) * arguments.width;
  const Sample* const value =
      static_cast<const Sample*>(arguments.value) + index / tiles * pixels * arguments.channels;
  uint8_t* const keys = arguments.keys + index / tiles * pixels;
  const EdgeAxis x = {static_cast<int32_t>(arguments.width), 1};
  const EdgeAxis y = {static_cast<int32_t>(arguments.height), arguments.width};

  phases.Block([&](uint32_t thread) {
    constexpr uint32_t between_columns = sizeof tile.between_columns;
    constexpr uint32_t between_rows = sizeof tile.between_rows;
    static_assert(between_columns + between_rows <= kThreads, "a thread a side");
    if (thread < between_columns) {
      const uint32_t column = thread % kEdgeBlocksAcross, row = thread / kEdgeBlocksAcross;
      tile.between_columns[row][column] =
          StandsOut(arguments, value, x, y, first_x + 4 + 8 * static_cast<int32_t>(column),
                    first_y - 4 + 8 * static_cast<int32_t>(row));
    } else if (thread < between_columns + between_rows) {
      const uint32_t side = thread - between_columns;
      const uint32_t column = side % (kEdgeBlocksAcross + 1), row = side / (kEdgeBlocksAcross + 1);
      tile.between_rows[row][column] =
          StandsOut(arguments, value, y, x, first_y + 4 + 8 * static_cast<int32_t>(row),
                    first_x - 4 + 8 * static_cast<int32_t>(column));
    }
  });
  phases.Block([&](uint32_t thread) {
    for (uint32_t i = thread; i < kEdgeTileWidth * kEdgeTileHeight; i += kThreads) {
      const uint32_t column = i % kEdgeTileWidth, row = i / kEdgeTileWidth;
      const int32_t to_x = first_x + static_cast<int32_t>(column);
      const int32_t to_y = first_y + static_cast<int32_t>(row);
      if (to_x < 0 || to_x >= x.size || to_y < 0 || to_y >= y.size) continue;
      // Borders lie in front of pixel 4 of every 8.
      const bool beside_column = column % 8 == 3 || column % 8 == 4;
      const bool beside_row = row % 8 == 3 || row % 8 == 4;
      const bool visible = (beside_column && tile.between_columns[(row + 4) / 8][column / 8]) ||
                           (beside_row && tile.between_rows[row / 8][(column + 4) / 8]);
      keys[static_cast<uint64_t>(to_y) * arguments.width + static_cast<uint32_t>(to_x)] = !visible;
    }
  });
}

}  // namespace jpegrt::cuda
