// What the non-local operator takes, on every device.
#pragma once

#include "jpegrt.h"

namespace jpegrt {

constexpr uint32_t kMaxNonLocalSide = 65535;
constexpr uint64_t kMaxNonLocalPixels = uint64_t{1} << 24;

// Of the options of the operator and of its mask.
template <typename Options>
bool HasValidShape(const Options& options) {
  return options.images > 0 && (options.channels == 1 || options.channels == 3) &&
         options.height > 0 && options.height <= kMaxNonLocalSide && options.width > 0 &&
         options.width <= kMaxNonLocalSide &&
         uint64_t{options.height} * options.width <= kMaxNonLocalPixels;
}

inline bool IsValid(const jpegrt_non_local_options& options) {
  constexpr uint32_t max_threads = 1024;
  return options.struct_size == sizeof options && HasValidShape(options) &&
         options.threads <= max_threads &&
         (options.dtype == JPEGRT_FLOAT32 || options.dtype == JPEGRT_FLOAT16);
}

inline bool IsValid(const jpegrt_blocking_edges_options& options) {
  return options.struct_size == sizeof options && HasValidShape(options) && options.grid_x < 8 &&
         options.grid_y < 8 && options.ratio >= 1 && options.least_step >= 0;
}

}  // namespace jpegrt
