#include "upsample.h"

namespace jpegrt::cuda {

void Upsample(const Context& context, const UpsampledCells& cells, void* stream) {
  const uint64_t elements = (static_cast<uint64_t>(cells.rows) * cells.columns)
                            << 2 * cells.log2_cell;
  const auto blocks = static_cast<uint32_t>((elements + kThreads - 1) / kThreads);
  context.Launch("cells_f32_from_samples", blocks, cells, stream);
}

}  // namespace jpegrt::cuda
