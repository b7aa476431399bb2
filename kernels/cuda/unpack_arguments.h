// What the unpacking kernels take, and how a batch becomes launches of them. Shared by host and
// device.
#pragma once

#include <cstdint>

namespace jpegrt::cuda {

// Blocks that a thread block works on; the packed format's run.
constexpr uint32_t kTileBlocks = 32;

// One component: 32 blocks after 32 blocks become `out`.
struct UnpackComponent {
  const void* source;  // int16 blocks, or a packed stream
  void* out;
  uint64_t plane;                    // elements from one plane to the next
  uint32_t pitch;                    // elements from one row of a plane to the next
  uint32_t first_tile;               // of this component, in the launch
  uint32_t rows, columns, stride;    // of blocks, as in jpegrt_blocks
  uint32_t grid_rows, grid_columns;  // blocks that `out` has room for: at least rows and columns
  uint8_t log2_width, log2_height;   // of a cell
  uint8_t whole_chunks;              // no 16-byte store is misaligned or crosses a row's end
  union {
    float steps[64];  // quantisation steps times scale
    uint32_t integer_steps[64];
  };
};

// Passed by value: nothing is copied to the device before a launch, and the caller's arrays are
// free again after it. Kernels may have 32764 bytes of arguments.
constexpr uint32_t kMaxUnpackComponents = 102;

struct UnpackBatch {
  uint32_t components;
  UnpackComponent component[kMaxUnpackComponents];
};

static_assert(sizeof(UnpackBatch) <= 32764, "too many arguments for a kernel");

}  // namespace jpegrt::cuda
