// One run of blocks into its packed form.
#pragma once

#include <cstddef>
#include <cstdint>

namespace jpegrt {

// Writes the run of `count` blocks (1 to 32) to `run`, which has room for it stored dense, and
// returns its size. What lies between that and the room's end is overwritten too.
using RunPacker = size_t (*)(const int16_t* blocks, size_t count, uint8_t* run);

size_t PackRunAnywhere(const int16_t* blocks, size_t count, uint8_t* run);

// The fastest that this machine has. All of them write the same bytes.
RunPacker FastestRunPacker();

}  // namespace jpegrt
