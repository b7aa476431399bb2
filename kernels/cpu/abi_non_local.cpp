// The C ABI of the non-local operator: arguments checked, exceptions turned into statuses.

#include "blocking_edges.h"
#include "guard.h"
#include "jpegrt.h"
#include "non_local.h"
#include "non_local_options.h"

jpegrt_status jpegrt_non_local(const jpegrt_non_local_options* options, const void* guide,
                               const void* value, const float* h, const uint8_t* keys,
                               void* filtered) {
  if (!options || !jpegrt::IsValid(*options) || !guide || !value || !filtered)
    return JPEGRT_ERR_INVALID_ARGUMENT;
  return jpegrt::Guard(nullptr,
                       [&] { jpegrt::NonLocal(*options, guide, value, h, keys, filtered); });
}

jpegrt_status jpegrt_find_blocking_edges(const jpegrt_blocking_edges_options* options,
                                         const float* value, uint8_t* keys) {
  if (!options || !jpegrt::IsValid(*options) || !value || !keys) return JPEGRT_ERR_INVALID_ARGUMENT;
  jpegrt::FindBlockingEdges(*options, value, keys);
  return JPEGRT_OK;
}
