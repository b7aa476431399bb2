#include "session.h"

#include "../cpu/error.h"
#include "../cpu/geometry.h"
#include "cpu_backend.h"
#include "cuda_backend.h"
#include "stopwatch.h"

namespace jpegrt {
namespace {

void Require(bool is_so, const char* otherwise) {
  if (!is_so) throw Error(JPEGRT_ERR_INVALID_ARGUMENT, otherwise);
}

size_t Aligned(size_t floats) {
  return (floats + kTensorAlignment - 1) / kTensorAlignment * kTensorAlignment;
}

CellSize ChromaCell(const Graph& graph, const Grid& grid) {
  return {grid.cell_px / graph.chroma_h, grid.cell_px / graph.chroma_v};
}

// Where tensors that share a workspace begin, and how much they need.
size_t ChromaOffset(const Grid& grid) { return Aligned(grid.component()); }
size_t InputSize(const Graph* graph, const Grid& grid) {
  if (!graph) return grid.component();
  const CellSize cell = ChromaCell(*graph, grid);
  return ChromaOffset(grid) + 2 * cell.width * cell.height * grid.plane();
}
size_t RestoredSize(const CodedImage& image, const Grid& grid) {
  return image.components * Aligned(grid.component());
}

// A backend's memory for one image.
class Restoring {
 public:
  Restoring(Backend* backend, const CodedImage& image, const Destination& to, size_t inputs,
            size_t restored, double* total_ms)
      : backend_(backend) {
    Stopwatch stopwatch(total_ms);
    work_ = backend->Begin(image, to, inputs, restored);
  }
  ~Restoring() { backend_->End(); }
  Restoring(const Restoring&) = delete;
  Restoring& operator=(const Restoring&) = delete;
  const Workspace& work() const { return work_; }

 private:
  Backend* const backend_;
  Workspace work_;
};

}  // namespace

Session::Session(const jpegrt_session_options& options, const jpegrt_model* model,
                 const jpegrt_engine* engine)
    : read_options_(options.read), tile_px_(options.tile_px) {
  std::unique_ptr<PixelModel> pixel_model;
  std::unique_ptr<Unfolding> unfolding;
  if (model) {
    cell_px_ = model->cell_px;
    scale_ = model->scale;
    receptive_field_px_ = model->receptive_field_px;
    graphs_ = Graphs(*model);
    pixel_model = PixelModelFrom(*model);
    unfolding = UnfoldingFrom(*model, options.threads);
    is_spectral_ = model->domain == JPEGRT_DOMAIN_SPECTRAL;
    if (is_spectral_) {
      Require(cell_px_ == 1, "the cell_px of a spectral model is not 1");
      graphs_.Only();
    } else if (!pixel_model) {
      graphs_.Alone();
    }
    engine_ = std::make_unique<Engine>(*engine);
  }
  if (options.cuda) {
    if (pixel_model)
      throw Error(JPEGRT_ERR_UNSUPPORTED,
                  "a model of the domain luma or rgb runs on the CPU only: leave cuda NULL");
    backend_ = std::make_unique<CudaBackend>(options);
    return;
  }
  auto cpu = std::make_unique<CpuBackend>(options);
  if (pixel_model)
    pixel_pipeline_ =
        std::make_unique<PixelPipeline>(std::move(pixel_model), std::move(unfolding), cpu.get());
  backend_ = std::move(cpu);
}

const jpegrt_image& Session::Read(const uint8_t* bytes, size_t size) {
  Forget();
  Stopwatch stopwatch(&timings_.entropy_decode_ms);
  Take(backend_->Read(bytes, size, read_options_));
  return image_;
}

void Session::Load(const jpegrt_image& image) {
  Forget();
  RefuseInconsistent(image);
  RefuseTooLarge(image.width, image.height, read_options_);
  backend_->Load(image, &timings_);
  Take(image);
}

void Session::LoadPixels(const uint8_t* pixels, uint32_t width, uint32_t height, uint32_t channels,
                         size_t row_stride) {
  Forget();
  Require(engine_ != nullptr,
          "pixels are restored by models of the domain luma or rgb; this session has no model");
  Require(pixel_pipeline_ != nullptr,
          "pixels are restored by models of the domain luma or rgb; this session's takes JPEGs");
  Require(width > 0 && width <= kMaxSide && height > 0 && height <= kMaxSide,
          "the image's width or height is not from 1 to 65535");
  Require(channels == 1 || channels == 3, "pixels have 1 channel, grey, or 3, R G B");
  Require(row_stride >= static_cast<size_t>(width) * channels,
          "row_stride is less than a row of pixels");
  const uint32_t enlargement = pixel_pipeline_->enlargement();
  RefuseTooLarge(enlargement * width, enlargement * height, read_options_);
  image_ = {};
  pixels_ = {
      pixels,  row_stride, width, height, channels == 1 ? JPEGRT_COLOUR_GREY : JPEGRT_COLOUR_RGB,
      channels};
  has_image_ = true;
}

void Session::Forget() {
  RefuseReentry();
  has_image_ = false;
  timings_ = {};
}

void Session::Take(const jpegrt_image& image) {
  if (is_spectral_ && !CodedImage(image).IsFullResolution(0))
    throw Error(JPEGRT_ERR_UNSUPPORTED,
                "luma has fewer samples than chroma, which a model of the domain spectral cannot "
                "restore: choose one of another domain");
  if (pixel_pipeline_) {
    const uint32_t enlargement = pixel_pipeline_->enlargement();
    RefuseTooLarge(enlargement * image.width, enlargement * image.height, read_options_);
  }
  image_ = CodedImage(image);
  pixels_ = {};
  has_image_ = true;
}

jpegrt_pixel_size Session::OutputSize() const {
  RefuseReentry();
  Require(has_image_, "no image: read one before asking for its size");
  const uint32_t enlargement = Enlargement();
  if (pixels_.data)
    return {enlargement * pixels_.width, enlargement * pixels_.height,
            pixels_.colour == JPEGRT_COLOUR_GREY ? 1u : 3u};
  return {enlargement * image_.width, enlargement * image_.height, image_.components};
}

void Session::Restore(const Destination& to) {
  RefuseReentry();
  Require(has_image_, "no image: read one before restoring it");
  RefuseDestination(to);
  timings_.unpack_ms = timings_.network_ms = timings_.pixels_ms = 0;
  RestoreRows(0, Rows().size(), to);
}

jpegrt_strip Session::Strip(uint32_t index) const {
  RefuseReentry();
  Require(has_image_, "no image: read one before asking for its strips");
  const Tiling rows = Rows();
  const uint32_t enlargement = Enlargement();
  if (index >= rows.size()) return {OutputSize().height, 0};
  const Span kept = rows[index].kept;
  return {enlargement * kept.first, enlargement * kept.size()};
}

void Session::RestoreStrip(uint32_t index, const Destination& to) {
  Require(Strip(index).rows > 0, "the image has no such strip");
  RefuseDestination(to);
  RestoreRows(index, index + 1, to);
}

Tiling Session::Rows() const {
  return {pixels_.data ? pixels_.height : image_.height, Rule(image_.McuHeight()), tile_px_};
}

Tiling Session::Columns() const {
  return {pixels_.data ? pixels_.width : image_.width, Rule(image_.McuWidth()), tile_px_};
}

TilingRule Session::Rule(uint32_t mcu_px) const {
  if (pixel_pipeline_) return pixel_pipeline_->TilingFor(receptive_field_px_);
  // A plain decoder looks beyond its tiles itself.
  const uint32_t overlap_px = engine_ ? receptive_field_px_ + image_.UpsamplingReach() : 0;
  return {mcu_px, overlap_px, mcu_px};
}

void Session::RestoreRows(uint32_t first, uint32_t last, const Destination& to) {
  const Tiling rows = Rows(), columns = Columns();
  const uint32_t enlargement = Enlargement(), top = rows[first].kept.first;
  const uint32_t channels = OutputSize().channels;
  for (uint32_t i = first; i < last; ++i)
    for (uint32_t j = 0; j < columns.size(); ++j) {
      const Piece row = rows[i], column = columns[j];
      RestorePiece({column.seen, row.seen}, {column.kept, row.kept},
                   to.From(size_t{enlargement} * (row.kept.first - top),
                           size_t{enlargement} * column.kept.first, channels));
    }
}

void Session::RestorePiece(const Area& seen, const Area& kept, const Destination& to) {
  if (pixels_.data)
    pixel_pipeline_->Restore(pixels_, seen, kept, engine_.get(), to, &timings_);
  else if (pixel_pipeline_)
    pixel_pipeline_->Restore(image_, seen, kept, engine_.get(), to, &timings_);
  else if (engine_)
    RestoreCoefficients(seen, kept, to);
  else
    DecodePlainly(kept, to);
}

void Session::RefuseReentry() const {
  Require(!engine_ || !engine_->is_running(), "an engine called the session that is running it");
}

void Session::RefuseDestination(const Destination& to) const {
  Require(!to.is_on_device || backend_->device() == JPEGRT_DEVICE_CUDA,
          "this session restores on the CPU, to pixels on the host: make it with a cuda handle");
  Require(to.dtype == JPEGRT_UINT8 || to.dtype == JPEGRT_UINT16, "pixels are uint8 or uint16");
  const bool is_wide = to.dtype == JPEGRT_UINT16;
  Require(!is_wide || (reinterpret_cast<uintptr_t>(to.pixels) | to.row_stride) % 2 == 0,
          "16-bit pixels need an even address and an even row_stride");
  const jpegrt_pixel_size size = OutputSize();
  Require(to.row_stride >= size_t{is_wide ? 2u : 1u} * size.width * size.channels,
          "row_stride is less than a row of pixels");
}

void Session::DecodePlainly(const Area& part, const Destination& to) {
  const Restoring restoring(backend_.get(), image_, to, 0, 0, &timings_.unpack_ms);
  backend_->Decode(image_, part, to, &timings_);
}

void Session::RestoreCoefficients(const Area& seen, const Area& kept, const Destination& to) {
  const CodedImage image = image_.Part(seen);
  const Grid grid = is_spectral_ ? image.SampleGrid(scale_) : image.PaddedGrid(cell_px_, scale_);
  const Graph* const graph = is_spectral_ ? nullptr : graphs_.Together(image);
  const Restoring restoring(backend_.get(), image, to, InputSize(graph, grid),
                            RestoredSize(image, grid), &timings_.unpack_ms);
  float* restored[JPEGRT_MAX_COMPONENTS];
  for (uint32_t c = 0; c < image.components; ++c)
    restored[c] = restoring.work().restored + c * Aligned(grid.component());
  if (graph) RestoreTogether(image, *graph, grid, restoring.work(), restored);
  for (uint32_t c = graph ? 3 : 0; c < image.components; ++c)
    RestoreAlone(image, c, grid, restoring.work(), restored[c]);
  Stopwatch stopwatch(&timings_.pixels_ms);
  // What is kept begins at whole cells, since MCUs do.
  const Area inside = kept.In(seen);
  const size_t corner = inside.y.first / cell_px_ * grid.columns + inside.x.first / cell_px_;
  for (uint32_t c = 0; c < image.components; ++c) restored[c] += corner;
  backend_->WritePixels(image_.Part(kept), grid, restored, to);
}

void Session::RestoreTogether(const CodedImage& image, const Graph& graph, const Grid& grid,
                              const Workspace& work, float* restored[]) {
  const CellSize luma_cell = {cell_px_, cell_px_}, chroma_cell = ChromaCell(graph, grid);
  const CellSize sampling = {graph.chroma_h, graph.chroma_v};
  const size_t luma_planes = cell_px_ * cell_px_;
  const size_t chroma_planes = chroma_cell.width * chroma_cell.height;
  float* const luma = work.inputs;
  float* const chroma = luma + ChromaOffset(grid);
  float* const chroma_restored = restored[1];
  restored[2] = chroma_restored + grid.component();
  Unpack(image, grid,
         {{0, luma_cell, {1, 1}, luma},
          {1, chroma_cell, sampling, chroma},
          {2, chroma_cell, sampling, chroma + chroma_planes * grid.plane()}});
  Run(graph,
      {DeviceTensor("luma", luma, {1, luma_planes, grid.rows, grid.columns}),
       DeviceTensor("chroma", chroma, {1, 2 * chroma_planes, grid.rows, grid.columns}),
       DeviceTensor("steps", work.steps, {1, 3 * 64})},
      {DeviceTensor("luma_restored", restored[0], {1, luma_planes, grid.rows, grid.columns}),
       DeviceTensor("chroma_restored", chroma_restored,
                    {1, 2 * luma_planes, grid.rows, grid.columns})},
      work.stream);
}

void Session::RestoreAlone(const CodedImage& image, uint32_t component, const Grid& grid,
                           const Workspace& work, float* restored) {
  const CellSize cell = {cell_px_, cell_px_};
  const size_t planes = cell_px_ * cell_px_;
  if (IsPlain(image, component)) return Unpack(image, grid, {{component, cell, {1, 1}, restored}});
  std::vector<jpegrt_tensor> inputs;
  if (is_spectral_) {
    UnpackSpectrum(image, component, work.inputs);
    inputs = {DeviceTensor("spectrum", work.inputs, {1, 64, grid.rows / 8, grid.columns / 8})};
  } else {
    Unpack(image, grid, {{component, cell, {1, 1}, work.inputs}});
    inputs = {DeviceTensor("luma", work.inputs, {1, planes, grid.rows, grid.columns}),
              DeviceTensor("steps", work.steps + 64 * component, {1, 64})};
  }
  Run(graphs_.Alone(), inputs,
      {DeviceTensor("luma_restored", restored, {1, planes, grid.rows, grid.columns})}, work.stream);
}

bool Session::IsPlain(const CodedImage& image, uint32_t component) const {
  return image.IsChroma(component) || (is_spectral_ && !image.IsFullResolution(component));
}

void Session::UnpackSpectrum(const CodedImage& image, uint32_t component, float* spectrum) {
  Stopwatch stopwatch(&timings_.unpack_ms);
  backend_->UnpackSpectrum(image, component, image.ScaleOf(component, scale_), spectrum);
}

void Session::Unpack(const CodedImage& image, const Grid& grid,
                     const std::vector<ComponentCells>& components) {
  Stopwatch stopwatch(&timings_.unpack_ms);
  backend_->Unpack(image, grid, components);
}

void Session::Run(const Graph& graph, const std::vector<jpegrt_tensor>& inputs,
                  const std::vector<jpegrt_tensor>& outputs, void* stream) {
  Stopwatch stopwatch(&timings_.network_ms);
  backend_->OnDevice([&] { engine_->Run(graph.name, inputs, outputs, stream); });
}

jpegrt_tensor Session::DeviceTensor(const char* name, float* data,
                                    std::initializer_list<size_t> shape) const {
  return Tensor(name, data, backend_->device(), shape);
}

}  // namespace jpegrt
