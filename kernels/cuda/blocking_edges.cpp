#include "blocking_edges.h"

#include "../cpu/error.h"
#include "../cpu/non_local_options.h"
#include "blocking_edges_arguments.h"
#include "component.h"

namespace jpegrt::cuda {

void FindBlockingEdges(const Context& context, const jpegrt_blocking_edges_options& options,
                       const void* value, jpegrt_dtype dtype, uint8_t* keys, void* stream) {
  if (!IsValid(options) || !value || !keys)
    throw Error(JPEGRT_ERR_INVALID_ARGUMENT,
                "invalid argument: a null pointer, or options beyond what jpegrt.h allows");
  if (dtype != JPEGRT_FLOAT32 && dtype != JPEGRT_FLOAT16)
    throw Error(JPEGRT_ERR_INVALID_ARGUMENT, "images with blocking edges are float32 or float16");
  if (!IsAligned(value, SizeOf(dtype)))
    throw Error(JPEGRT_ERR_INVALID_ARGUMENT, "the image is not aligned to an element");
  BlockingEdgesArguments arguments = {};
  arguments.value = value;
  arguments.keys = keys;
  arguments.channels = options.channels;
  arguments.height = options.height;
  arguments.width = options.width;
  arguments.pixels_before_x = PixelsBefore(options.grid_x);
  arguments.pixels_before_y = PixelsBefore(options.grid_y);
  arguments.tiles_across =
      (arguments.pixels_before_x + options.width + kEdgeTileWidth - 1) / kEdgeTileWidth;
  arguments.tiles_down =
      (arguments.pixels_before_y + options.height + kEdgeTileHeight - 1) / kEdgeTileHeight;
  arguments.ratio = options.ratio;
  arguments.least_step = options.least_step;

  const uint64_t tiles =
      static_cast<uint64_t>(options.images) * arguments.tiles_across * arguments.tiles_down;
  constexpr uint64_t max_blocks = (1u << 31) - 1;
  if (tiles > max_blocks) throw Error(JPEGRT_ERR_TOO_LARGE, "too many images for one call");
  context.Launch(dtype == JPEGRT_FLOAT16 ? "blocking_edges_f16" : "blocking_edges_f32",
                 static_cast<uint32_t>(tiles), arguments, stream);
}

}  // namespace jpegrt::cuda
