#include "cuda_backend.h"

#include <algorithm>
#include <cstring>

#include "../cpu/error.h"
#include "../cuda/handle.h"
#include "../cuda/pixels.h"
#include "../cuda/project.h"
#include "../cuda/unpack.h"
#include "../cuda/upsample.h"
#include "stopwatch.h"

namespace jpegrt {
namespace {

size_t Aligned(size_t offset) {
  constexpr size_t alignment = kTensorAlignment * sizeof(float);
  return (offset + alignment - 1) / alignment * alignment;
}

size_t RowBytes(const CodedImage& image, const Destination& to) {
  return size_t{image.width} * image.components * (to.dtype == JPEGRT_UINT16 ? 2 : 1);
}

}  // namespace

CudaBackend::Work::Work(const cuda::Context& context, void* on, size_t staged_bytes,
                        size_t tensor_bytes, size_t pixel_bytes)
    : stream(on), staged(context, staged_bytes, on) {
  if (tensor_bytes) tensors.emplace(context, tensor_bytes, on);
  if (pixel_bytes) pixels.emplace(context, pixel_bytes, on);
}

CudaBackend::CudaBackend(const jpegrt_session_options& options)
    : context_(cuda::AttachedContext(*options.cuda)),
      stream_(context_),
      project_(options.project != 0),
      slack_(options.slack),
      staging_(context_) {}

void CudaBackend::OnDevice(const std::function<void()>& body) const {
  const cuda::Context::Entered entered(*context_);
  body();
}

jpegrt_image CudaBackend::Read(const uint8_t* bytes, size_t size,
                               const jpegrt_read_options& options) {
  jpegrt_packed packed[JPEGRT_MAX_COMPONENTS];
  jpegrt_image image = coefficients_.ReadPacked(bytes, size, options, packed);
  for (uint32_t c = 0; c < image.components; ++c) image.component[c].blocks.table = packed[c].table;
  Stage(image, packed);
  return image;
}

void CudaBackend::Load(const jpegrt_image& image, jpegrt_timings* timings) {
  Stopwatch stopwatch(&timings->entropy_decode_ms);
  jpegrt_packed packed[JPEGRT_MAX_COMPONENTS];
  for (uint32_t c = 0; c < image.components; ++c) {
    const jpegrt_blocks& blocks = image.component[c].blocks;
    uint8_t* stream = packed_[c].Reserve(PackedBound(blocks.rows, blocks.columns));
    packer_.Start(blocks.rows, blocks.columns, stream);
    for (uint32_t row = 0; row < blocks.rows; ++row)
      packer_.Append(blocks.data + 64 * size_t{row} * blocks.stride, blocks.columns);
    packed[c] = {stream, packer_.Finish(), blocks.table, blocks.rows, blocks.columns};
  }
  Stage(image, packed);
}

void CudaBackend::Stage(const jpegrt_image& image, const jpegrt_packed* packed) {
  if (image.components > 3)
    throw Error(JPEGRT_ERR_UNSUPPORTED,
                "CMYK is restored on the CPU only: make the session without a cuda handle");
  Staged staged = {};
  for (uint32_t c = 0; c < image.components; ++c) {
    staged.stream[c] = staged.steps;
    staged.steps += Aligned(packed[c].size);
    std::copy(packed[c].table, packed[c].table + 64, staged.tables[c]);
  }
  staged.size = staged.steps + 64 * sizeof(float) * image.components;
  uint8_t* const memory = staging_.Next(staged.size);
  for (uint32_t c = 0; c < image.components; ++c) {
    std::memcpy(memory + staged.stream[c], packed[c].data, packed[c].size);
    CopySteps(packed[c].table, reinterpret_cast<float*>(memory + staged.steps) + 64 * c);
  }
  staged_ = staged;
}

Workspace CudaBackend::Begin(const CodedImage& image, const Destination& to, size_t inputs,
                             size_t restored) {
  void* const stream = to.is_on_device ? to.stream : stream_.handle();
  const size_t pixels = to.is_on_device ? 0 : RowStride(image, to) * image.height;
  const size_t input_bytes = Aligned(inputs * sizeof(float));
  try {
    work_.emplace(*context_, stream, staged_.size, input_bytes + restored * sizeof(float), pixels);
    staging_.CopyTo(work_->staged.data(), staged_.size, stream);
  } catch (...) {
    End();
    throw;
  }
  uint8_t* const tensors = work_->tensors ? work_->tensors->data() : nullptr;
  return {reinterpret_cast<float*>(tensors), reinterpret_cast<float*>(tensors + input_bytes),
          reinterpret_cast<float*>(work_->staged.data() + staged_.steps), stream};
}

void CudaBackend::Unpack(const CodedImage& image, const Grid& grid,
                         const std::vector<ComponentCells>& components) {
  std::vector<jpegrt_unpacking> direct;
  for (const ComponentCells& to : components) {
    const uint32_t c = to.component;
    if (image.PixelsAcross(c) != to.sampling.width || image.PixelsDown(c) != to.sampling.height) {
      Upsample(image, grid, to);
      continue;
    }
    jpegrt_unpacking unpacking = Unpacking(image, c);
    unpacking.out = to.cells;
    unpacking.plane = grid.plane();
    unpacking.pitch = static_cast<uint32_t>(grid.columns);
    unpacking.cell_width = to.cell.width;
    unpacking.cell_height = to.cell.height;
    unpacking.grid_rows = static_cast<uint32_t>(grid.rows * to.cell.height / 8);
    unpacking.grid_columns = static_cast<uint32_t>(grid.columns * to.cell.width / 8);
    direct.push_back(unpacking);
  }
  cuda::Unpack(*context_, direct.data(), direct.size(), JPEGRT_LAYOUT_CELLS, JPEGRT_FLOAT32,
               grid.scale, work_->stream);
}

void CudaBackend::UnpackSpectrum(const CodedImage& image, uint32_t component, float scale,
                                 float* spectrum) {
  jpegrt_unpacking unpacking = Unpacking(image, component);
  unpacking.out = spectrum;
  unpacking.plane = uint64_t{unpacking.blocks.rows} * unpacking.blocks.columns;
  unpacking.pitch = unpacking.blocks.columns;
  cuda::Unpack(*context_, &unpacking, 1, JPEGRT_LAYOUT_SPECTRUM, JPEGRT_FLOAT32, scale,
               work_->stream);
}

jpegrt_unpacking CudaBackend::Unpacking(const CodedImage& image, uint32_t component) const {
  jpegrt_unpacking unpacking = {};
  unpacking.blocks = image.component[component].blocks;
  unpacking.blocks.data = nullptr;
  unpacking.blocks.table = staged_.tables[component];
  unpacking.packed = work_->staged.data() + staged_.stream[component];
  return unpacking;
}

void CudaBackend::Upsample(const CodedImage& image, const Grid& grid,
                           const ComponentCells& to) const {
  const uint32_t c = to.component;
  jpegrt_unpacking unpacking = Unpacking(image, c);
  const uint32_t width = 8 * unpacking.blocks.columns, height = 8 * unpacking.blocks.rows;
  const Memory samples(*context_, static_cast<size_t>(width) * height, work_->stream);
  unpacking.out = samples.data();
  unpacking.pitch = width;
  cuda::Unpack(*context_, &unpacking, 1, JPEGRT_LAYOUT_SAMPLES, JPEGRT_UINT8, 1, work_->stream);

  const uint32_t h = image.PixelsAcross(c), v = image.PixelsDown(c);
  cuda::UpsampledCells cells = {};
  // All of the blocks, not only what belongs to the image: the grid reaches beyond it too.
  cells.samples = {samples.data(),         width, width, height, static_cast<uint8_t>(h),
                   static_cast<uint8_t>(v)};
  cells.width =
      static_cast<uint32_t>(std::min<uint64_t>(uint64_t{width} * h, grid.columns * grid.cell_px));
  cells.height =
      static_cast<uint32_t>(std::min<uint64_t>(uint64_t{height} * v, grid.rows * grid.cell_px));
  cells.rows = static_cast<uint32_t>(grid.rows);
  cells.columns = static_cast<uint32_t>(grid.columns);
  while (1u << cells.log2_cell < grid.cell_px) ++cells.log2_cell;
  cells.scale = grid.scale;
  cells.cells = to.cells;
  cuda::Upsample(*context_, cells, work_->stream);
}

void CudaBackend::Project(const CodedImage& image, const Grid& grid,
                          float* const restored[]) const {
  std::vector<jpegrt_projection> projections;
  for (uint32_t c = 0; c < image.components; ++c) {
    if (!image.IsFullResolution(c)) continue;
    const jpegrt_unpacking unpacking = Unpacking(image, c);
    jpegrt_projection projection = {};
    projection.blocks = unpacking.blocks;
    projection.packed = unpacking.packed;
    projection.cells = projection.projected = restored[c];
    projection.plane = grid.plane();
    projection.pitch = static_cast<uint32_t>(grid.columns);
    projection.cell_width = projection.cell_height = grid.cell_px;
    projections.push_back(projection);
  }
  cuda::ProjectCells(*context_, projections.data(), projections.size(), JPEGRT_FLOAT32, grid.scale,
                     slack_, work_->stream);
}

void CudaBackend::WritePixels(const CodedImage& image, const Grid& grid, float* const restored[],
                              const Destination& to) {
  if (project_) Project(image, grid, restored);
  jpegrt_cell_image output = {};
  std::copy(restored, restored + image.components, output.cells);
  output.plane = grid.plane();
  output.pitch = static_cast<uint32_t>(grid.columns);
  output.width = image.width;
  output.height = image.height;
  output.colour = image.colour;
  output.pixels = Pixels(to);
  output.row_stride = RowStride(image, to);
  cuda::PixelsFromCells(*context_, &output, 1, grid.cell_px, JPEGRT_FLOAT32, grid.scale, to.dtype,
                        work_->stream);
  Deliver(image, to);
}

void CudaBackend::Decode(const CodedImage& image, const Area&, const Destination& to,
                         jpegrt_timings* timings) {
  Stopwatch stopwatch(&timings->pixels_ms);
  jpegrt_image on_device = image;
  jpegrt_decoding decoding = {};
  for (uint32_t c = 0; c < image.components; ++c) {
    const jpegrt_unpacking unpacking = Unpacking(image, c);
    on_device.component[c].blocks = unpacking.blocks;
    decoding.packed[c] = unpacking.packed;
  }
  decoding.image = &on_device;
  decoding.pixels = Pixels(to);
  decoding.row_stride = RowStride(image, to);
  cuda::Decode(*context_, &decoding, 1, to.dtype, nullptr, work_->stream);
  Deliver(image, to);
}

uint8_t* CudaBackend::Pixels(const Destination& to) const {
  return to.is_on_device ? static_cast<uint8_t*>(to.pixels) : work_->pixels->data();
}

size_t CudaBackend::RowStride(const CodedImage& image, const Destination& to) const {
  return to.is_on_device ? to.row_stride : Aligned(RowBytes(image, to));
}

void CudaBackend::Deliver(const CodedImage& image, const Destination& to) const {
  if (to.is_on_device) return;
  stream_.Download({work_->pixels->data(), RowStride(image, to)},
                   {static_cast<uint8_t*>(to.pixels), to.row_stride}, RowBytes(image, to),
                   image.height);
}

}  // namespace jpegrt
