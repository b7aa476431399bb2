#include "blocking_edges.h"

#include <algorithm>
#include <cstddef>

#include "../shared/block_border.h"

namespace jpegrt {
namespace {

constexpr size_t kBlock = 8;

// An axis of the image: the one that a border is crossed along, or the one that it runs along.
struct Axis {
  size_t size;  // pixels
  size_t step;  // samples from one pixel to the next
  size_t grid;  // first pixel at which a block begins
};

// Clears the keys on both sides of every border that is crossed along `across`.
void ClearAcross(const jpegrt_blocking_edges_options& options, const float* value,
                 const Axis& across, const Axis& along, uint8_t* keys) {
  const size_t plane = across.size * along.size;
  for (size_t border = across.grid; border + 1 < across.size; border += kBlock) {
    if (border < 2) continue;
    // Before the first block that is whole there is the rest of one.
    for (size_t first = 0, last; first < along.size; first = last) {
      last = std::min(along.size, first < along.grid ? along.grid : first + kBlock);
      BorderSteps steps;
      for (size_t c = 0; c < options.channels; ++c)
        for (size_t i = first; i < last; ++i) {
          const float* const pixel = value + c * plane + i * along.step + border * across.step;
          steps.Add(*(pixel - 2 * across.step), *(pixel - across.step), *pixel,
                    *(pixel + across.step));
        }
      if (steps.StandOut((last - first) * options.channels, options.ratio, options.least_step))
        for (size_t i = first; i < last; ++i) {
          uint8_t* const key = keys + i * along.step + border * across.step;
          *key = *(key - across.step) = 0;
        }
    }
  }
}

}  // namespace

void FindBlockingEdges(const jpegrt_blocking_edges_options& options, const float* value,
                       uint8_t* keys) {
  const Axis x = {options.width, 1, options.grid_x};
  const Axis y = {options.height, options.width, options.grid_y};
  const size_t pixels = static_cast<size_t>(options.width) * options.height;
  std::fill(keys, keys + pixels * options.images, uint8_t{1});
  for (size_t i = 0; i < options.images; ++i) {
    ClearAcross(options, value + i * pixels * options.channels, x, y, keys + i * pixels);
    ClearAcross(options, value + i * pixels * options.channels, y, x, keys + i * pixels);
  }
}

}  // namespace jpegrt
