#include "unpack.h"

#include <memory>

#include "../cpu/error.h"
#include "component.h"

namespace jpegrt::cuda {
namespace {

UnpackComponent Component(const jpegrt_unpacking& from, size_t index, jpegrt_layout layout,
                          jpegrt_dtype dtype, float scale) {
  UnpackComponent component = CheckedComponent(from, index, "unpack", layout, dtype);
  const bool cells = layout == JPEGRT_LAYOUT_CELLS;
  for (int k = 0; k < 64; ++k) {
    if (layout == JPEGRT_LAYOUT_SAMPLES)
      component.integer_steps[k] = from.blocks.table[k];
    else  // two passes of the inverse DCT return samples times 8
      component.steps[k] = static_cast<float>(from.blocks.table[k]) * (cells ? scale / 8 : scale);
  }
  return component;
}

const char* KernelName(bool packed, jpegrt_layout layout, jpegrt_dtype dtype) {
  if (layout == JPEGRT_LAYOUT_SAMPLES)
    return packed ? "samples_u8_from_packed" : "samples_u8_from_blocks";
  const bool half = dtype == JPEGRT_FLOAT16;
  if (layout == JPEGRT_LAYOUT_CELLS) {
    if (packed) return half ? "cells_f16_from_packed" : "cells_f32_from_packed";
    return half ? "cells_f16_from_blocks" : "cells_f32_from_blocks";
  }
  if (packed) return half ? "coefficients_f16_from_packed" : "coefficients_f32_from_packed";
  return half ? "coefficients_f16_from_blocks" : "coefficients_f32_from_blocks";
}

}  // namespace

void Unpack(const Context& context, const jpegrt_unpacking* components, size_t n_components,
            jpegrt_layout layout, jpegrt_dtype dtype, float scale, void* stream) {
  const bool fits = layout == JPEGRT_LAYOUT_SAMPLES
                        ? dtype == JPEGRT_UINT8
                        : layout >= JPEGRT_LAYOUT_CELLS && layout < JPEGRT_LAYOUT_SAMPLES &&
                              (dtype == JPEGRT_FLOAT32 || dtype == JPEGRT_FLOAT16);
  if (!fits)
    throw Error(JPEGRT_ERR_INVALID_ARGUMENT,
                "samples are uint8; cells, spectra and planes are float32 or float16");
  const auto component_of = [&](size_t i) {
    return Component(components[i], i, layout, dtype, scale);
  };
  for (size_t i = 0; i < n_components; ++i) component_of(i);
  const auto kernel_of = [&](bool packed) { return KernelName(packed, layout, dtype); };
  const auto batch = std::make_unique<UnpackBatch>();
  LaunchComponents(context, *batch, components, n_components, kernel_of, component_of, stream);
}

}  // namespace jpegrt::cuda
