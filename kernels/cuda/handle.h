// The handle of the C ABI's CUDA section, for all that use it.
#pragma once

#include <memory>
#include <string>

#include "../cpu/error.h"
#include "context.h"
#include "jpegrt.h"

struct jpegrt_cuda {
  std::shared_ptr<const jpegrt::cuda::Context> context;  // shared with sessions; null: not attached
  std::string message;
};

namespace jpegrt::cuda {

// Throws Error.
inline const std::shared_ptr<const Context>& AttachedContext(const jpegrt_cuda& cuda) {
  if (!cuda.context)
    throw Error(JPEGRT_ERR_NO_DEVICE, "no CUDA device: attach the handle to one first");
  return cuda.context;
}

}  // namespace jpegrt::cuda
