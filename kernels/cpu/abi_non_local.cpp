// The C ABI of the non-local operator: arguments checked, exceptions turned into statuses.

#include "blocking_edges.h"
#include "guard.h"
#include "jpegrt.h"
#include "non_local.h"

namespace {

constexpr uint32_t kMaxThreads = 1024;
constexpr uint32_t kMaxSide = 65535;
constexpr uint64_t kMaxPixels = uint64_t{1} << 24;

template <typename Options>
bool ValidShape(const Options& options) {
  return options.images > 0 && (options.channels == 1 || options.channels == 3) &&
         options.height > 0 && options.height <= kMaxSide && options.width > 0 &&
         options.width <= kMaxSide && uint64_t{options.height} * options.width <= kMaxPixels;
}

bool Valid(const jpegrt_non_local_options* options) {
  return options && options->struct_size == sizeof(*options) && ValidShape(*options) &&
         options->threads <= kMaxThreads &&
         (options->dtype == JPEGRT_FLOAT32 || options->dtype == JPEGRT_FLOAT16);
}

bool Valid(const jpegrt_blocking_edges_options* options) {
  return options && options->struct_size == sizeof(*options) && ValidShape(*options) &&
         options->grid_x < 8 && options->grid_y < 8 && options->ratio >= 1 &&
         options->least_step >= 0;
}

}  // namespace

jpegrt_status jpegrt_non_local(const jpegrt_non_local_options* options, const void* guide,
                               const void* value, const float* h, const uint8_t* keys,
                               void* filtered) {
  if (!Valid(options) || !guide || !value || !filtered) return JPEGRT_ERR_INVALID_ARGUMENT;
  return jpegrt::Guard(nullptr,
                       [&] { jpegrt::NonLocal(*options, guide, value, h, keys, filtered); });
}

jpegrt_status jpegrt_find_blocking_edges(const jpegrt_blocking_edges_options* options,
                                         const float* value, uint8_t* keys) {
  if (!Valid(options) || !value || !keys) return JPEGRT_ERR_INVALID_ARGUMENT;
  jpegrt::FindBlockingEdges(*options, value, keys);
  return JPEGRT_OK;
}
