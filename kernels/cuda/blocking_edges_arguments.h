// What the detector of blocking edges takes, and how an image becomes tiles. Shared by host and
// device.
#pragma once

#include <cstdint>

namespace jpegrt::cuda {

// A thread block writes the keys of 16 x 4 blocks' size that begin half a block before a block, so
// that both sides of every border in it are its own.
constexpr uint32_t kEdgeBlocksAcross = 16, kEdgeBlocksDown = 4;
constexpr uint32_t kEdgeTileWidth = 8 * kEdgeBlocksAcross, kEdgeTileHeight = 8 * kEdgeBlocksDown;

// By how many pixels the first tile begins before the image.
constexpr uint32_t PixelsBefore(uint32_t grid) { return (12 - grid) % 8; }

struct BlockingEdgesArguments {
  const void* value;  // (images, channels, height, width)
  uint8_t* keys;      // (images, 1, height, width)
  uint32_t channels, height, width;
  uint32_t pixels_before_x, pixels_before_y;
  uint32_t tiles_across, tiles_down;
  float ratio, least_step;
};

}  // namespace jpegrt::cuda
