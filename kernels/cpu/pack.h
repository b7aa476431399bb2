// Blocks into a packed stream (kernels/README.md), a few at a time, as a decoder makes them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "jpegrt.h"
#include "pack_run.h"
#include "packed_format.h"

namespace jpegrt {

class Packer {
 public:
  Packer();

  // Begins the stream of rows x columns blocks at `packed`, which has room for PackedBound.
  void Start(uint32_t rows, uint32_t columns, uint8_t* packed);

  // Takes the next `count` blocks, row by row; no more in all than were announced.
  void Append(const int16_t* blocks, size_t count);

  // Takes what is missing as zero, completes the stream and returns its size.
  size_t Finish();

 private:
  void PackRun(const int16_t* blocks, size_t count);
  size_t NextRunBlocks() const {
    return blocks_left_ < kRunBlocks ? static_cast<size_t>(blocks_left_) : kRunBlocks;
  }

  RunPacker pack_run_;
  uint8_t* packed_ = nullptr;
  PackedHeader header_ = {};
  size_t payload_ = 0, end_ = 0;  // offsets in the stream: where the runs begin, and the next one
  uint32_t runs_done_ = 0;
  uint64_t blocks_left_ = 0;  // not packed yet
  size_t n_pending_ = 0;      // of those, taken already: a run that began in an earlier call
  alignas(64) int16_t pending_[kRunBlocks * 64];
};

}  // namespace jpegrt
