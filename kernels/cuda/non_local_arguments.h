// What the kernels of the non-local operator take. Shared by host and device.
#pragma once

#include <cstdint>

namespace jpegrt::cuda {

// A thread block has 16 x 8 queries, one row of them a warp, and meets 8 x 8 keys at a time.
constexpr uint32_t kQueryTileWidth = 16, kQueryTileHeight = 8, kKeyTileSide = 8;

constexpr uint32_t kMaxFeatures = 27;  // numbers in a patch of three channels

struct NonLocalArguments {
  const void* guide;  // (images, channels, height, width), and so value and filtered
  const void* value;
  const float* h;       // (images, 1, height, width), or null: constant_h
  const uint8_t* keys;  // (images, 1, height, width), or null: 1
  float* patches;       // (images, 9 * channels, height, width): the filtered patches
  void* filtered;
  float constant_h;
  uint32_t channels, height, width;
  uint32_t window_px;  // 0: the whole image
  uint32_t tiles_across, tiles_down;
};

}  // namespace jpegrt::cuda
