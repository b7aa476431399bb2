// One run of blocks into its packed form.
#pragma once

#include <cstddef>
#include <cstdint>

namespace jpegrt {

// Writes the run of `count` blocks (1 to 32) to `run`, which has room for it stored dense, and
// returns its size. What lies between that and the room's end is overwritten too.
using RunPacker = size_t (*)(const int16_t* blocks, size_t count, uint8_t* run);

constexpr size_t kMostRunPackers = 3;

// Those that this machine can run, the fastest last; returns how many. All write the same bytes.
size_t RunPackers(RunPacker packers[kMostRunPackers]);

}  // namespace jpegrt
