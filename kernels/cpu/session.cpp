#include "session.h"

#include <algorithm>
#include <cstring>

#include "error.h"
#include "geometry.h"
#include "project.h"
#include "unpack.h"
#include "upsample.h"

namespace jpegrt {
namespace {

constexpr uint32_t kMaxSide = 65535;  // what a JPEG's header can state

// Adds the time it lives to one of the session's timings.
class Stopwatch {
 public:
  explicit Stopwatch(double* total_ms) : total_ms_(total_ms) {}
  ~Stopwatch() {
    const std::chrono::duration<double, std::milli> elapsed = Clock::now() - start_;
    *total_ms_ += elapsed.count();
  }

 private:
  using Clock = std::chrono::steady_clock;
  double* total_ms_;
  Clock::time_point start_ = Clock::now();
};

jpegrt_tensor Tensor(const char* name, float* data, std::initializer_list<size_t> shape) {
  jpegrt_tensor tensor = {};
  tensor.name = name;
  tensor.data = data;
  tensor.dtype = JPEGRT_FLOAT32;
  tensor.device = JPEGRT_DEVICE_CPU;
  tensor.rank = static_cast<uint32_t>(shape.size());
  std::transform(shape.begin(), shape.end(), tensor.shape,
                 [](size_t n) { return static_cast<int64_t>(n); });
  return tensor;
}

template <typename Pixel>
Pixel* RowAt(Pixel* pixels, uint32_t y, size_t row_stride) {
  return reinterpret_cast<Pixel*>(reinterpret_cast<uint8_t*>(pixels) + y * row_stride);
}

// libjpeg lets steps of zero pass, which a file can have where all coefficients are zero too; a
// network may take their logarithm.
void CopySteps(const uint16_t table[64], float steps[64]) {
  for (int k = 0; k < 64; ++k) steps[k] = static_cast<float>(std::max<uint16_t>(table[k], 1));
}

// Fills what lies right of `columns` and below `rows` with the nearest samples: a grid is padded to
// whole MCUs, and what encoders leave in the blocks there is of no use to a network.
void ExtendEdges(float* cells, CellSize cell, size_t rows, size_t columns, size_t grid_rows,
                 size_t grid_columns) {
  const size_t plane = grid_rows * grid_columns;
  for (size_t dy = 0; dy < cell.height; ++dy) {
    const float* rightmost = cells + (dy * cell.width + cell.width - 1) * plane;
    for (size_t dx = 0; dx < cell.width; ++dx) {
      float* out = cells + (dy * cell.width + dx) * plane;
      for (size_t y = 0; y < rows; ++y)
        std::fill(out + y * grid_columns + columns, out + (y + 1) * grid_columns,
                  rightmost[y * grid_columns + columns - 1]);
    }
  }
  for (size_t dy = 0; dy < cell.height; ++dy)
    for (size_t dx = 0; dx < cell.width; ++dx) {
      float* out = cells + (dy * cell.width + dx) * plane;
      const float* lowest =
          cells + ((cell.height - 1) * cell.width + dx) * plane + (rows - 1) * grid_columns;
      for (size_t y = rows; y < grid_rows; ++y)
        std::copy(lowest, lowest + grid_columns, out + y * grid_columns);
    }
}

// An image of the caller's making: the rest of this file trusts its sizes.
void RefuseInconsistent(const jpegrt_image& image) {
  const auto require = [](bool is_so, const char* otherwise) {
    if (!is_so) throw Error(JPEGRT_ERR_INVALID_ARGUMENT, otherwise);
  };
  const bool is_grey = image.components == 1 && image.colour == JPEGRT_COLOUR_GREY;
  const bool is_colour = image.components == 3 &&
                         (image.colour == JPEGRT_COLOUR_YCBCR || image.colour == JPEGRT_COLOUR_RGB);
  require(is_grey || is_colour, "the image's components and colour do not go together");
  const auto valid_side = [](uint32_t px) { return px > 0 && px <= kMaxSide; };
  require(valid_side(image.width) && valid_side(image.height),
          "the image's width or height is not from 1 to 65535");
  jpegrt_image derived = image;
  for (uint32_t c = 0; c < image.components; ++c) {
    const jpegrt_component& component = image.component[c];
    require(component.h > 0 && component.h <= 4 && component.v > 0 && component.v <= 4,
            "a sampling factor is not from 1 to 4");
    require(component.blocks.data && component.blocks.table,
            "a component has no coefficients or no table");
  }
  DeriveComponentSizes(&derived);
  for (uint32_t c = 0; c < image.components; ++c) {
    const jpegrt_component &given = image.component[c], &expected = derived.component[c];
    require(given.width == expected.width && given.height == expected.height &&
                given.blocks.rows == expected.blocks.rows &&
                given.blocks.columns == expected.blocks.columns &&
                given.blocks.stride >= given.blocks.columns,
            "a component's size is not what the image's size and sampling factors make it");
  }
}

}  // namespace

Session::Session(const jpegrt_session_options& options, const jpegrt_model* model,
                 const jpegrt_engine* engine)
    : read_options_(options.read),
      project_(options.project != 0),
      slack_(options.slack),
      threads_(options.threads) {
  if (!model) return;
  cell_px_ = model->cell_px;
  scale_ = model->scale;
  for (uint32_t i = 0; i < model->n_graphs; ++i) {
    const jpegrt_graph& graph = model->graphs[i];
    if (!graph.name || (graph.components != 1 && graph.components != 3) || graph.chroma_h == 0 ||
        graph.chroma_v == 0 || cell_px_ % graph.chroma_h || cell_px_ % graph.chroma_v)
      throw Error(JPEGRT_ERR_INVALID_ARGUMENT,
                  "graph " + std::to_string(i) + " of the model does not fit its cell size");
    graphs_.push_back({graph.name, graph.components, graph.chroma_h, graph.chroma_v});
  }
  pixel_model_ = PixelModelFrom(*model);
  if (!pixel_model_) GreyGraph();
  engine_ = std::make_unique<const jpegrt_engine>(*engine);
}

const jpegrt_image& Session::Read(const uint8_t* bytes, size_t size) {
  RefuseReentry();
  has_image_ = false;
  timings_ = {};
  Stopwatch stopwatch(&timings_.entropy_decode_ms);
  Take(coefficients_.Read(bytes, size, read_options_));
  return image_;
}

void Session::LoadPixels(const uint8_t* pixels, uint32_t width, uint32_t height, uint32_t channels,
                         size_t row_stride) {
  RefuseReentry();
  has_image_ = false;
  timings_ = {};
  const auto require = [](bool is_so, const char* otherwise) {
    if (!is_so) throw Error(JPEGRT_ERR_INVALID_ARGUMENT, otherwise);
  };
  require(engine_ != nullptr,
          "pixels are restored by models of the domain luma or rgb; this session has no model");
  require(pixel_model_ != nullptr,
          "pixels are restored by models of the domain luma or rgb; this session's takes JPEGs");
  require(width > 0 && width <= kMaxSide && height > 0 && height <= kMaxSide,
          "the image's width or height is not from 1 to 65535");
  require(channels == 1 || channels == 3, "pixels have 1 channel, grey, or 3, R G B");
  require(row_stride >= static_cast<size_t>(width) * channels,
          "row_stride is less than a row of pixels");
  const uint32_t enlargement = pixel_model_->enlargement();
  RefuseTooLarge(enlargement * width, enlargement * height, read_options_);
  image_ = {};
  pixels_ = {pixels, row_stride, width, height,
             channels == 1 ? JPEGRT_COLOUR_GREY : JPEGRT_COLOUR_RGB};
  has_image_ = true;
}

jpegrt_pixel_size Session::OutputSize() const {
  if (!has_image_)
    throw Error(JPEGRT_ERR_INVALID_ARGUMENT, "no image: read one before asking for its size");
  const uint32_t enlargement = pixel_model_ ? pixel_model_->enlargement() : 1;
  if (pixels_.data)
    return {enlargement * pixels_.width, enlargement * pixels_.height,
            pixels_.colour == JPEGRT_COLOUR_GREY ? 1u : 3u};
  return {enlargement * image_.width, enlargement * image_.height, image_.components};
}

void Session::Load(const jpegrt_image& image) {
  RefuseReentry();
  has_image_ = false;
  timings_ = {};
  RefuseInconsistent(image);
  RefuseTooLarge(image.width, image.height, read_options_);
  Take(image);
}

void Session::Take(const jpegrt_image& image) {
  if (pixel_model_) {
    const uint32_t enlargement = pixel_model_->enlargement();
    RefuseTooLarge(enlargement * image.width, enlargement * image.height, read_options_);
  }
  image_ = image;
  pixels_ = {};
  max_h_ = max_v_ = 1;
  for (uint32_t c = 0; c < image_.components; ++c) {
    max_h_ = std::max(max_h_, image_.component[c].h);
    max_v_ = std::max(max_v_, image_.component[c].v);
  }
  has_image_ = true;
}

template <typename Pixel>
void Session::Restore(Pixel* pixels, size_t row_stride) {
  RefuseReentry();
  if (!has_image_)
    throw Error(JPEGRT_ERR_INVALID_ARGUMENT, "no image: read one before restoring it");
  const jpegrt_pixel_size size = OutputSize();
  if (row_stride < sizeof(Pixel) * size.width * size.channels)
    throw Error(JPEGRT_ERR_INVALID_ARGUMENT, "row_stride is less than a row of pixels");
  timings_.unpack_ms = timings_.network_ms = timings_.pixels_ms = 0;
  if (pixel_model_)
    RestorePixels(pixels, row_stride);
  else if (engine_)
    RestoreWithModel(pixels, row_stride);
  else
    DecodePlainly(image_.colour, pixels, row_stride);
}

template void Session::Restore(uint8_t* pixels, size_t row_stride);
template void Session::Restore(uint16_t* pixels, size_t row_stride);

void Session::RefuseReentry() const {
  if (engine_is_running_)
    throw Error(JPEGRT_ERR_INVALID_ARGUMENT, "an engine called the session that is running it");
}

template <typename Pixel>
void Session::DecodePlainly(jpegrt_colour colour, Pixel* pixels, size_t row_stride) {
  SampleView views[JPEGRT_MAX_COMPONENTS];
  {
    Stopwatch stopwatch(&timings_.unpack_ms);
    for (uint32_t c = 0; c < image_.components; ++c) {
      const jpegrt_component& component = image_.component[c];
      const size_t pitch = 8 * static_cast<size_t>(component.blocks.columns);
      uint8_t* samples = samples_[c].Reserve(pitch * 8 * component.blocks.rows);
      Samples(c, samples);
      views[c] = {samples, pitch, component.width, component.height};
    }
  }
  Stopwatch stopwatch(&timings_.pixels_ms);
  threads_.ParallelFor(image_.height, [&](uint32_t first, uint32_t last) {
    // Upsampling writes whole multiples of the factors, so a row may run past the image's width.
    const size_t row_size = static_cast<size_t>(image_.width) + max_h_;
    std::vector<uint8_t> upsampled(row_size * image_.components);
    std::vector<uint8_t> levels(sizeof(Pixel) > 1 ? image_.width * image_.components : 0);
    const uint8_t* rows[JPEGRT_MAX_COMPONENTS];
    for (uint32_t y = first; y < last; ++y) {
      for (uint32_t c = 0; c < image_.components; ++c) {
        const uint32_t h = max_h_ / image_.component[c].h, v = max_v_ / image_.component[c].v;
        rows[c] = views[c].data + y * views[c].pitch;
        if (h == 1 && v == 1) continue;
        rows[c] = upsampled.data() + c * row_size;
        UpsampleRow(views[c], h, v, y, upsampled.data() + c * row_size);
      }
      Pixel* row = RowAt(pixels, y, row_stride);
      if constexpr (sizeof(Pixel) == 1) {
        PixelsFromSamples(rows, image_.width, colour, row);
      } else {
        PixelsFromSamples(rows, image_.width, colour, levels.data());
        std::transform(levels.begin(), levels.end(), row,
                       [](uint8_t level) { return static_cast<Pixel>(257 * level); });
      }
    }
  });
}

template <typename Pixel>
void Session::RestoreWithModel(Pixel* pixels, size_t row_stride) {
  const Grid grid = PaddedGrid();
  const size_t planes = cell_px_ * cell_px_;
  float* restored = outputs_.Reserve(image_.components * planes * grid.plane());

  const jpegrt_component &luma = image_.component[0], &cb = image_.component[1],
                         &cr = image_.component[2];
  const bool luma_is_full = luma.h == max_h_ && luma.v == max_v_;
  const bool chroma_alike = cb.h == cr.h && cb.v == cr.v;
  const Graph* graph = nullptr;
  if (image_.colour == JPEGRT_COLOUR_YCBCR) {
    if (luma_is_full && chroma_alike) graph = GraphFor(max_h_ / cb.h, max_v_ / cb.v);
    // Any other sampling is upsampled first, as a plain decoder would.
    if (!graph) graph = GraphFor(1, 1);
  }
  if (graph)
    RestoreTogether(*graph, grid, restored);
  else
    RestoreAlone(grid, restored);

  Stopwatch stopwatch(&timings_.pixels_ms);
  if (project_) Project(grid, restored);
  CellImage output = {{}, cell_px_, grid.columns, grid.plane(), scale_};
  for (uint32_t c = 0; c < image_.components; ++c)
    output.cells[c] = restored + c * planes * grid.plane();
  threads_.ParallelFor(image_.height, [&](uint32_t first, uint32_t last) {
    for (uint32_t y = first; y < last; ++y)
      PixelsFromCells(output, y, image_.width, image_.colour, RowAt(pixels, y, row_stride));
  });
}

void Session::Project(const Grid& grid, float* restored) {
  const size_t component_size = cell_px_ * cell_px_ * grid.plane();
  for (uint32_t c = 0; c < image_.components; ++c) {
    const jpegrt_component& component = image_.component[c];
    if (component.h != max_h_ || component.v != max_v_) continue;
    float* cells = restored + c * component_size;
    threads_.ParallelFor(component.blocks.rows, [&](uint32_t first, uint32_t last) {
      ProjectCells(component.blocks, {first, last}, {cell_px_, cell_px_}, scale_, slack_, cells,
                   cells, grid.columns, grid.plane());
    });
  }
}

template <typename Pixel>
void Session::RestorePixels(Pixel* pixels, size_t row_stride) {
  const PixelView view = PixelsToRestore();
  const PixelTensors tensors = pixel_model_->TensorsFor(view);
  float* restored = outputs_.Reserve(tensors.restored_size());
  float* image = inputs_.Reserve(tensors.size());
  {
    Stopwatch stopwatch(&timings_.unpack_ms);
    pixel_model_->Fill(view, tensors, &threads_, image);
  }
  Run({tensors.graph, static_cast<uint32_t>(tensors.planes), 1, 1},
      {Tensor("image", image, {1, tensors.planes, tensors.rows, tensors.columns})},
      {Tensor("image_restored", restored,
              {1, tensors.planes, tensors.restored_rows, tensors.restored_columns})});
  Stopwatch stopwatch(&timings_.pixels_ms);
  pixel_model_->Write(view, tensors, restored, &threads_, pixels, row_stride);
}

PixelView Session::PixelsToRestore() {
  if (pixels_.data) return pixels_;
  const bool as_rgb = image_.colour == JPEGRT_COLOUR_YCBCR && !pixel_model_->takes_ycbcr();
  const jpegrt_colour colour = as_rgb ? JPEGRT_COLOUR_RGB : image_.colour;
  const size_t row = static_cast<size_t>(image_.width) * image_.components;
  uint8_t* decoded = decoded_.Reserve(row * image_.height);
  const bool as_is = colour == JPEGRT_COLOUR_YCBCR;
  const double before_ms = timings_.pixels_ms;
  DecodePlainly(as_is ? JPEGRT_COLOUR_RGB : image_.colour, decoded, row);
  // To a model that takes pixels, decoding is part of making its input.
  timings_.unpack_ms += timings_.pixels_ms - before_ms;
  timings_.pixels_ms = before_ms;
  return {decoded, row, image_.width, image_.height, colour};
}

void Session::RestoreTogether(const Graph& graph, const Grid& grid, float* restored) {
  const size_t luma_planes = cell_px_ * cell_px_;
  const CellSize chroma_cell = {cell_px_ / graph.chroma_h, cell_px_ / graph.chroma_v};
  const size_t chroma_planes = chroma_cell.width * chroma_cell.height;
  float* luma = inputs_.Reserve((luma_planes + 2 * chroma_planes) * grid.plane() + 3 * 64);
  float* chroma = luma + luma_planes * grid.plane();
  float* steps = chroma + 2 * chroma_planes * grid.plane();
  {
    Stopwatch stopwatch(&timings_.unpack_ms);
    const uint32_t h = graph.chroma_h, v = graph.chroma_v;
    Cells(0, {cell_px_, cell_px_}, {1, 1}, grid, luma);
    for (uint32_t c = 1; c < 3; ++c)
      Cells(c, chroma_cell, {h, v}, grid, chroma + (c - 1) * chroma_planes * grid.plane());
    for (uint32_t c = 0; c < 3; ++c) CopySteps(image_.component[c].blocks.table, steps + 64 * c);
  }
  Run(graph,
      {Tensor("luma", luma, {1, luma_planes, grid.rows, grid.columns}),
       Tensor("chroma", chroma, {1, 2 * chroma_planes, grid.rows, grid.columns}),
       Tensor("steps", steps, {1, 3 * 64})},
      {Tensor("luma_restored", restored, {1, luma_planes, grid.rows, grid.columns}),
       Tensor("chroma_restored", restored + luma_planes * grid.plane(),
              {1, 2 * luma_planes, grid.rows, grid.columns})});
}

void Session::RestoreAlone(const Grid& grid, float* restored) {
  const size_t planes = cell_px_ * cell_px_;
  float* cells = inputs_.Reserve(planes * grid.plane() + 64);
  float* steps = cells + planes * grid.plane();
  for (uint32_t c = 0; c < image_.components; ++c, restored += planes * grid.plane()) {
    // A model that knows no chroma leaves it as a plain decoder would.
    const bool kept = image_.colour == JPEGRT_COLOUR_YCBCR && c > 0;
    {
      Stopwatch stopwatch(&timings_.unpack_ms);
      Cells(c, {cell_px_, cell_px_}, {1, 1}, grid, kept ? restored : cells);
      CopySteps(image_.component[c].blocks.table, steps);
    }
    if (kept) continue;
    Run(GreyGraph(),
        {Tensor("luma", cells, {1, planes, grid.rows, grid.columns}),
         Tensor("steps", steps, {1, 64})},
        {Tensor("luma_restored", restored, {1, planes, grid.rows, grid.columns})});
  }
}

const Session::Graph* Session::GraphFor(uint32_t chroma_h, uint32_t chroma_v) const {
  for (const Graph& graph : graphs_)
    if (graph.components == 3 && graph.chroma_h == chroma_h && graph.chroma_v == chroma_v)
      return &graph;
  return nullptr;
}

const Session::Graph& Session::GreyGraph() const {
  for (const Graph& graph : graphs_)
    if (graph.components == 1) return graph;
  throw Error(JPEGRT_ERR_INVALID_ARGUMENT, "the model has no graph for grey images");
}

Session::Grid Session::PaddedGrid() const {
  // A lone component is coded block by block, whatever its sampling factors say.
  const uint32_t mcu_width = image_.components == 1 ? 8 : 8 * max_h_;
  const uint32_t mcu_height = image_.components == 1 ? 8 : 8 * max_v_;
  const size_t mcu_columns = (image_.width + mcu_width - 1) / mcu_width;
  const size_t mcu_rows = (image_.height + mcu_height - 1) / mcu_height;
  return {mcu_rows * mcu_height / cell_px_, mcu_columns * mcu_width / cell_px_};
}

void Session::Samples(uint32_t c, uint8_t* samples) {
  const jpegrt_blocks& blocks = image_.component[c].blocks;
  threads_.ParallelFor(blocks.rows, [&](uint32_t first, uint32_t last) {
    SamplesFromBlocks(blocks, {first, last}, samples, 8 * static_cast<size_t>(blocks.columns));
  });
}

void Session::Cells(uint32_t c, CellSize cell, CellSize sampling, const Grid& grid, float* cells) {
  const jpegrt_component& component = image_.component[c];
  const jpegrt_blocks& blocks = component.blocks;
  if (max_h_ / component.h != sampling.width || max_v_ / component.v != sampling.height)
    return UpsampledCells(c, grid, cells);
  threads_.ParallelFor(blocks.rows, [&](uint32_t first, uint32_t last) {
    CellsFromBlocks(blocks, {first, last}, cell, scale_, cells, grid.columns, grid.plane());
  });
  ExtendEdges(cells, cell, 8 * blocks.rows / cell.height, 8 * blocks.columns / cell.width,
              grid.rows, grid.columns);
}

void Session::UpsampledCells(uint32_t c, const Grid& grid, float* cells) {
  const jpegrt_component& component = image_.component[c];
  const size_t pitch = 8 * static_cast<size_t>(component.blocks.columns);
  uint8_t* samples = samples_[c].Reserve(pitch * 8 * component.blocks.rows);
  Samples(c, samples);
  // All of the blocks, not only what belongs to the image: the grid reaches beyond it too.
  const SampleView view = {samples, pitch, static_cast<uint32_t>(pitch), 8 * component.blocks.rows};
  const uint32_t h = max_h_ / component.h, v = max_v_ / component.v;
  const uint32_t width = static_cast<uint32_t>(
      std::min<size_t>(static_cast<size_t>(view.width) * h, grid.columns * cell_px_));
  const uint32_t height = static_cast<uint32_t>(
      std::min<size_t>(static_cast<size_t>(view.height) * v, grid.rows * cell_px_));
  threads_.ParallelFor(height, [&](uint32_t first, uint32_t last) {
    std::vector<uint8_t> row(static_cast<size_t>(view.width) * h);
    for (uint32_t y = first; y < last; ++y) {
      UpsampleRow(view, h, v, y, row.data());
      CellsFromSamples(row.data(), y, width, cell_px_, scale_, cells, grid.columns, grid.plane());
    }
  });
  ExtendEdges(cells, {cell_px_, cell_px_}, height / cell_px_, width / cell_px_, grid.rows,
              grid.columns);
}

void Session::Run(const Graph& graph, const std::vector<jpegrt_tensor>& inputs,
                  const std::vector<jpegrt_tensor>& outputs) {
  Stopwatch stopwatch(&timings_.network_ms);
  char message[1024] = "the engine failed without a message";
  engine_is_running_ = true;
  const int failed = engine_->run(engine_->user, graph.name.c_str(), inputs.data(), inputs.size(),
                                  outputs.data(), outputs.size(), nullptr, message, sizeof message);
  engine_is_running_ = false;
  message[sizeof message - 1] = 0;
  if (failed) throw Error(JPEGRT_ERR_ENGINE, message);
}

}  // namespace jpegrt
