#include "project.h"

#include <cfloat>
#include <memory>

#include "../cpu/error.h"
#include "../shared/projection.h"
#include "component.h"
#include "project_arguments.h"

namespace jpegrt::cuda {
namespace {

ProjectComponent Component(const jpegrt_projection& from, size_t index, jpegrt_dtype dtype,
                           float scale) {
  constexpr const char* purpose = "project";
  const jpegrt_unpacking layout = {from.blocks,      from.packed, from.projected,
                                   from.plane,       from.pitch,  from.cell_width,
                                   from.cell_height, 0,           0};
  ProjectComponent component;
  static_cast<UnpackComponent&>(component) =
      CheckedComponent(layout, index, purpose, JPEGRT_LAYOUT_CELLS, dtype);
  RequireOfComponent(from.cells && IsAligned(from.cells, SizeOf(dtype)), index, purpose,
                     "its cells are a null pointer, or not aligned to an element");
  component.cells = from.cells;
  component.whole_chunks = component.whole_chunks && IsAligned(from.cells, 16);
  for (int k = 0; k < 64; ++k) component.steps[k] = ProjectionStep(from.blocks.table[k], scale);
  return component;
}

}  // namespace

void ProjectCells(const Context& context, const jpegrt_projection* components, size_t n_components,
                  jpegrt_dtype dtype, float scale, float slack, void* stream) {
  if (dtype != JPEGRT_FLOAT32 && dtype != JPEGRT_FLOAT16)
    throw Error(JPEGRT_ERR_INVALID_ARGUMENT, "cells to project are float32 or float16");
  if (!(scale > 0 && scale <= kMaxProjectedScale && slack >= 0 && slack <= FLT_MAX))
    throw Error(JPEGRT_ERR_INVALID_ARGUMENT,
                "projection needs a scale above 0, at most 2^64, and a slack of 0 or more");
  const auto component_of = [&](size_t i) { return Component(components[i], i, dtype, scale); };
  for (size_t i = 0; i < n_components; ++i) component_of(i);
  const bool half = dtype == JPEGRT_FLOAT16;
  const auto kernel_of = [half](bool packed) {
    if (packed) return half ? "projected_f16_from_packed" : "projected_f32_from_packed";
    return half ? "projected_f16_from_blocks" : "projected_f32_from_blocks";
  };
  const auto batch = std::make_unique<ProjectBatch>();
  batch->half_width = 0.5f + slack;
  LaunchComponents(context, *batch, components, n_components, kernel_of, component_of, stream);
}

}  // namespace jpegrt::cuda
