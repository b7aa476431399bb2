// A caller's components, checked and made what kernels take, and batches of them.
#pragma once

#include "context.h"
#include "jpegrt.h"
#include "unpack_arguments.h"

namespace jpegrt::cuda {

bool IsAligned(const void* pointer, size_t size);

size_t SizeOf(jpegrt_dtype dtype);

// Throws Error, which says that component `index` to `purpose` is wrong.
void RequireOfComponent(bool condition, size_t index, const char* purpose, const char* what);

// All of a component but its steps and its place in a launch. Throws Error.
UnpackComponent CheckedComponent(const jpegrt_unpacking& from, size_t index, const char* purpose,
                                 jpegrt_layout layout, jpegrt_dtype dtype);

// Launches batches, those of dense blocks before those of packed streams, of what `component_of`
// makes of the index of each of the caller's `components`. `kernel_of` names the kernel, given
// whether blocks are packed. Everything in `batch` but its components is set already.
template <typename Batch, typename Source, typename KernelOf, typename ComponentOf>
void LaunchComponents(const Context& context, Batch& batch, const Source* components,
                      size_t n_components, const KernelOf& kernel_of,
                      const ComponentOf& component_of, void* stream) {
  constexpr size_t max_components = sizeof batch.component / sizeof *batch.component;
  for (const bool packed : {false, true}) {
    uint32_t tiles = 0;
    batch.components = 0;
    const auto launch = [&] {
      if (!batch.components) return;
      context.Launch(kernel_of(packed), tiles, batch, stream);
      batch.components = tiles = 0;
    };
    for (size_t i = 0; i < n_components; ++i) {
      if ((components[i].blocks.data == nullptr) != packed) continue;
      auto& component = batch.component[batch.components];
      component = component_of(i);
      component.first_tile = tiles;
      ++batch.components;
      tiles += (component.rows * component.columns + kTileBlocks - 1) / kTileBlocks;
      if (batch.components == max_components) launch();
    }
    launch();
  }
}

}  // namespace jpegrt::cuda
