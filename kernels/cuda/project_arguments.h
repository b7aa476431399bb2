// What the projecting kernels take. Shared by host and device.
#pragma once

#include <cstdint>

#include "unpack_arguments.h"

namespace jpegrt::cuda {

// One component: `out` becomes its cells' projection. Steps are those of shared/projection.h.
struct ProjectComponent : UnpackComponent {
  const void* cells;  // laid out as `out`, which they may be
};

constexpr uint32_t kMaxProjectComponents = 102;

struct ProjectBatch {
  uint32_t components;
  float half_width;  // of the intervals, in steps
  ProjectComponent component[kMaxProjectComponents];
};

static_assert(sizeof(ProjectBatch) <= 32764, "too many arguments for a kernel");

}  // namespace jpegrt::cuda
