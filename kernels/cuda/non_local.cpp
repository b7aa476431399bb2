#include "non_local.h"

#include <optional>

#include "../cpu/error.h"
#include "../cpu/non_local_options.h"
#include "component.h"
#include "non_local_arguments.h"

namespace jpegrt::cuda {

uint64_t NonLocalScratchBytes(const jpegrt_non_local_options& options) {
  if (!IsValid(options)) return 0;
  const uint64_t samples =
      static_cast<uint64_t>(options.images) * options.channels * options.height * options.width;
  return samples * 9 * sizeof(float);
}

void NonLocal(const Context& context, const jpegrt_non_local_options& options, const void* guide,
              const void* value, const float* h, const uint8_t* keys, void* filtered, void* scratch,
              void* stream) {
  if (!IsValid(options) || !guide || !value || !filtered)
    throw Error(JPEGRT_ERR_INVALID_ARGUMENT,
                "invalid argument: a null pointer, or options beyond what jpegrt.h allows");
  const size_t element = SizeOf(options.dtype);
  if (!IsAligned(guide, element) || !IsAligned(value, element) || !IsAligned(filtered, element) ||
      !IsAligned(h, sizeof(float)) || !IsAligned(scratch, 16))
    throw Error(JPEGRT_ERR_INVALID_ARGUMENT,
                "an array is not aligned to an element, or scratch not to 16 bytes");
  NonLocalArguments arguments = {};
  arguments.guide = guide;
  arguments.value = value;
  arguments.h = h;
  arguments.keys = keys;
  arguments.filtered = filtered;
  arguments.constant_h = options.h;
  arguments.channels = options.channels;
  arguments.height = options.height;
  arguments.width = options.width;
  arguments.window_px = options.window_px;
  arguments.tiles_across = (options.width + kQueryTileWidth - 1) / kQueryTileWidth;
  arguments.tiles_down = (options.height + kQueryTileHeight - 1) / kQueryTileHeight;

  const uint64_t pixels = static_cast<uint64_t>(options.height) * options.width;
  const uint64_t tiles =
      static_cast<uint64_t>(options.images) * arguments.tiles_across * arguments.tiles_down;
  const uint64_t folds = options.images * ((pixels + kThreads - 1) / kThreads);
  constexpr uint64_t max_blocks = (1u << 31) - 1;
  if (tiles > max_blocks || folds > max_blocks)
    throw Error(JPEGRT_ERR_TOO_LARGE, "too many images for one call");

  std::optional<Context::Memory> memory;
  if (!scratch) {
    memory.emplace(context, NonLocalScratchBytes(options), stream);
    scratch = memory->data();
  }
  arguments.patches = static_cast<float*>(scratch);
  const bool half = options.dtype == JPEGRT_FLOAT16;
  context.Launch(half ? "non_local_f16" : "non_local_f32", static_cast<uint32_t>(tiles), arguments,
                 stream);
  context.Launch(half ? "fold_patches_f16" : "fold_patches_f32", static_cast<uint32_t>(folds),
                 arguments, stream);
}

}  // namespace jpegrt::cuda
