#include "cpu_backend.h"

#include <algorithm>

#include "../cpu/pixels.h"
#include "../cpu/project.h"
#include "../cpu/upsample.h"
#include "stopwatch.h"

namespace jpegrt {
namespace {

template <typename Pixel>
Pixel* RowAt(Pixel* pixels, uint32_t y, size_t row_stride) {
  return reinterpret_cast<Pixel*>(reinterpret_cast<uint8_t*>(pixels) + y * row_stride);
}

// Fills what lies right of `columns` and below `rows` with the nearest samples.
void ExtendEdges(float* cells, CellSize cell, size_t rows, size_t columns, const Grid& grid) {
  const size_t plane = grid.plane();
  for (size_t dy = 0; dy < cell.height; ++dy) {
    const float* rightmost = cells + (dy * cell.width + cell.width - 1) * plane;
    for (size_t dx = 0; dx < cell.width; ++dx) {
      float* out = cells + (dy * cell.width + dx) * plane;
      for (size_t y = 0; y < rows; ++y)
        std::fill(out + y * grid.columns + columns, out + (y + 1) * grid.columns,
                  rightmost[y * grid.columns + columns - 1]);
    }
  }
  for (size_t dy = 0; dy < cell.height; ++dy)
    for (size_t dx = 0; dx < cell.width; ++dx) {
      float* out = cells + (dy * cell.width + dx) * plane;
      const float* lowest =
          cells + ((cell.height - 1) * cell.width + dx) * plane + (rows - 1) * grid.columns;
      for (size_t y = rows; y < grid.rows; ++y)
        std::copy(lowest, lowest + grid.columns, out + y * grid.columns);
    }
}

}  // namespace

CpuBackend::CpuBackend(const jpegrt_session_options& options)
    : project_(options.project != 0), slack_(options.slack), threads_(options.threads) {}

jpegrt_image CpuBackend::Read(const uint8_t* bytes, size_t size,
                              const jpegrt_read_options& options) {
  return coefficients_.Read(bytes, size, options);
}

Workspace CpuBackend::Begin(const CodedImage& image, const Destination&, size_t inputs,
                            size_t restored) {
  for (uint32_t c = 0; c < image.components; ++c)
    CopySteps(image.component[c].blocks.table, steps_ + 64 * c);
  return {inputs_.Reserve(inputs), restored_.Reserve(restored), steps_, nullptr};
}

void CpuBackend::Unpack(const CodedImage& image, const Grid& grid,
                        const std::vector<ComponentCells>& components) {
  for (const ComponentCells& to : components) {
    const uint32_t c = to.component;
    const bool direct =
        image.PixelsAcross(c) == to.sampling.width && image.PixelsDown(c) == to.sampling.height;
    direct ? Cells(image, grid, to) : UpsampledCells(image, grid, to);
  }
}

void CpuBackend::UnpackSpectrum(const CodedImage& image, uint32_t component, float scale,
                                float* spectrum) {
  const jpegrt_blocks& blocks = image.component[component].blocks;
  const size_t plane = static_cast<size_t>(blocks.rows) * blocks.columns;
  threads_.ParallelFor(blocks.rows, [&](uint32_t first, uint32_t last) {
    SpectrumFromBlocks(blocks, {first, last}, scale, spectrum, blocks.columns, plane);
  });
}

void CpuBackend::Cells(const CodedImage& image, const Grid& grid, const ComponentCells& to) {
  const jpegrt_blocks& blocks = image.component[to.component].blocks;
  const float scale = image.ScaleOf(to.component, grid.scale);
  threads_.ParallelFor(blocks.rows, [&](uint32_t first, uint32_t last) {
    CellsFromBlocks(blocks, {first, last}, to.cell, scale, to.cells, grid.columns, grid.plane());
  });
  ExtendEdges(to.cells, to.cell, 8 * blocks.rows / to.cell.height,
              8 * blocks.columns / to.cell.width, grid);
}

void CpuBackend::UpsampledCells(const CodedImage& image, const Grid& grid,
                                const ComponentCells& to) {
  const uint32_t c = to.component, cell_px = grid.cell_px;
  const float scale = image.ScaleOf(c, grid.scale);
  const jpegrt_blocks& blocks = image.component[c].blocks;
  const uint8_t* samples = Samples(c, blocks);
  // All of the blocks, not only what belongs to the image: the grid reaches beyond it too.
  const SampleView view = {samples, 8 * static_cast<size_t>(blocks.columns), 8 * blocks.columns,
                           8 * blocks.rows};
  const uint32_t h = image.PixelsAcross(c), v = image.PixelsDown(c);
  const auto width = static_cast<uint32_t>(
      std::min<size_t>(static_cast<size_t>(view.width) * h, grid.columns * cell_px));
  const auto height = static_cast<uint32_t>(
      std::min<size_t>(static_cast<size_t>(view.height) * v, grid.rows * cell_px));
  threads_.ParallelFor(height, [&](uint32_t first, uint32_t last) {
    std::vector<uint8_t> row(static_cast<size_t>(view.width) * h);
    for (uint32_t y = first; y < last; ++y) {
      UpsampleRow(view, h, v, y, row.data());
      CellsFromSamples(row.data(), y, width, cell_px, scale, to.cells, grid.columns, grid.plane());
    }
  });
  ExtendEdges(to.cells, {cell_px, cell_px}, height / cell_px, width / cell_px, grid);
}

const uint8_t* CpuBackend::Samples(uint32_t component, const jpegrt_blocks& blocks) {
  const size_t pitch = 8 * static_cast<size_t>(blocks.columns);
  uint8_t* samples = samples_[component].Reserve(pitch * 8 * blocks.rows);
  threads_.ParallelFor(blocks.rows, [&](uint32_t first, uint32_t last) {
    SamplesFromBlocks(blocks, {first, last}, samples, pitch);
  });
  return samples;
}

void CpuBackend::Project(const CodedImage& image, const Grid& grid, float* const restored[]) {
  for (uint32_t c = 0; c < image.components; ++c) {
    if (!image.IsFullResolution(c)) continue;
    const jpegrt_blocks& blocks = image.component[c].blocks;
    float* const cells = restored[c];
    const float scale = image.ScaleOf(c, grid.scale);
    threads_.ParallelFor(blocks.rows, [&](uint32_t first, uint32_t last) {
      ProjectCells(blocks, {first, last}, {grid.cell_px, grid.cell_px}, scale, slack_, cells, cells,
                   grid.columns, grid.plane());
    });
  }
}

void CpuBackend::WritePixels(const CodedImage& image, const Grid& grid, float* const restored[],
                             const Destination& to) {
  if (project_) Project(image, grid, restored);
  if (to.dtype == JPEGRT_UINT8)
    WriteInto(static_cast<uint8_t*>(to.pixels), to.row_stride, image, grid, restored);
  else
    WriteInto(static_cast<uint16_t*>(to.pixels), to.row_stride, image, grid, restored);
}

template <typename Pixel>
void CpuBackend::WriteInto(Pixel* pixels, size_t row_stride, const CodedImage& image,
                           const Grid& grid, float* const restored[]) {
  CellImage output = {{},
                      grid.cell_px,
                      grid.columns,
                      grid.plane(),
                      image.ScaleOf(0, grid.scale),
                      image.ScaleOf(3, grid.scale)};
  std::copy(restored, restored + image.components, output.cells);
  threads_.ParallelFor(image.height, [&](uint32_t first, uint32_t last) {
    for (uint32_t y = first; y < last; ++y) {
      Pixel* const row = RowAt(pixels, y, row_stride);
      PixelsFromCells(output, y, image.width, image.colour, row);
      if (image.inverted) Invert(row, size_t{image.width} * image.components);
    }
  });
}

void CpuBackend::Decode(const CodedImage& image, const Area& part, const Destination& to,
                        jpegrt_timings* timings) {
  DecodeAs(image.colour, image, part, to, timings);
}

void CpuBackend::DecodeAs(jpegrt_colour colour, const CodedImage& image, const Area& part,
                          const Destination& to, jpegrt_timings* timings) {
  const Area around = image.AreaAround(part);
  const Area inside = part.In(around);
  const CodedImage decoded = image.Part(around);
  if (to.dtype == JPEGRT_UINT8)
    DecodeInto(static_cast<uint8_t*>(to.pixels), to.row_stride, colour, decoded, inside, timings);
  else
    DecodeInto(static_cast<uint16_t*>(to.pixels), to.row_stride, colour, decoded, inside, timings);
}

template <typename Pixel>
void CpuBackend::DecodeInto(Pixel* pixels, size_t row_stride, jpegrt_colour colour,
                            const CodedImage& image, const Area& part, jpegrt_timings* timings) {
  SampleView views[JPEGRT_MAX_COMPONENTS];
  {
    Stopwatch stopwatch(&timings->unpack_ms);
    for (uint32_t c = 0; c < image.components; ++c) {
      const jpegrt_component& component = image.component[c];
      views[c] = {Samples(c, component.blocks), 8 * static_cast<size_t>(component.blocks.columns),
                  component.width, component.height};
    }
  }
  Stopwatch stopwatch(&timings->pixels_ms);
  const uint32_t width = part.x.size();
  threads_.ParallelFor(part.y.size(), [&](uint32_t first, uint32_t last) {
    // Upsampling writes whole multiples of the factors, so a row may run past the image's width.
    const size_t row_size = static_cast<size_t>(image.width) + image.max_h;
    std::vector<uint8_t> upsampled(row_size * image.components);
    std::vector<uint8_t> levels(sizeof(Pixel) > 1 ? width * image.components : 0);
    const uint8_t* rows[JPEGRT_MAX_COMPONENTS];
    for (uint32_t row_in_part = first; row_in_part < last; ++row_in_part) {
      const uint32_t y = part.y.first + row_in_part;
      for (uint32_t c = 0; c < image.components; ++c) {
        if (image.IsFullResolution(c)) {
          rows[c] = views[c].data + y * views[c].pitch + part.x.first;
          continue;
        }
        uint8_t* const whole = upsampled.data() + c * row_size;
        UpsampleRow(views[c], image.PixelsAcross(c), image.PixelsDown(c), y, whole);
        rows[c] = whole + part.x.first;
      }
      Pixel* row = RowAt(pixels, row_in_part, row_stride);
      if constexpr (sizeof(Pixel) == 1) {
        PixelsFromSamples(rows, width, colour, row);
        if (image.inverted) Invert(row, size_t{width} * image.components);
      } else {
        PixelsFromSamples(rows, width, colour, levels.data());
        if (image.inverted) Invert(levels.data(), levels.size());
        std::transform(levels.begin(), levels.end(), row,
                       [](uint8_t level) { return static_cast<Pixel>(257 * level); });
      }
    }
  });
}

}  // namespace jpegrt
