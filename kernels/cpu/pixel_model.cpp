#include "pixel_model.h"

#include <algorithm>
#include <vector>

#include "bicubic.h"
#include "error.h"
#include "pixels.h"

namespace jpegrt {
namespace {

constexpr uint32_t kMaxEnlargement = 4;
constexpr uint32_t kMaxMinimumPx = 4096;
constexpr uint32_t kMaxMultiplePx = 1024;

void Require(bool is_so, const char* otherwise) {
  if (!is_so) throw Error(JPEGRT_ERR_INVALID_ARGUMENT, otherwise);
}

// ITU-T T.871 (JFIF), section 7.
float Luma(float red, float green, float blue) {
  return 0.299f * red + 0.587f * green + 0.114f * blue;
}

size_t Padded(uint32_t side, uint32_t minimum, uint32_t multiple) {
  const size_t least = std::max(side, minimum);
  return (least + multiple - 1) / multiple * multiple;
}

// One row of each plane, centred and scaled, of pixels that are `step` bytes apart. `planes` begin
// where the row does in each.
void FillRow(const uint8_t* row, uint32_t width, size_t step, size_t channels, float scale,
             float* const planes[3]) {
  for (size_t c = 0; c < channels; ++c)
    for (uint32_t x = 0; x < width; ++x)
      planes[c][x] = (static_cast<float>(row[step * x + c]) - 128) * scale;
}

void SplitRow(const uint8_t* row, uint32_t width, size_t step, float scale, float* luma, float* cb,
              float* cr) {
  for (uint32_t x = 0; x < width; ++x) {
    const float red = row[step * x], green = row[step * x + 1], blue = row[step * x + 2];
    const float level = Luma(red, green, blue);
    luma[x] = (level - 128) * scale;
    cb[x] = (blue - level) * (scale / 1.772f);
    cr[x] = (red - level) * (scale / 1.402f);
  }
}

}  // namespace

PixelModel::PixelModel(const jpegrt_model& model)
    : domain_(model.domain),
      scale_(model.scale),
      enlargement_(std::max(1u, model.enlargement)),
      minimum_px_(std::max(1u, model.minimum_px)),
      multiple_px_(std::max(1u, model.multiple_px)) {
  Require(domain_ == JPEGRT_DOMAIN_LUMA || domain_ == JPEGRT_DOMAIN_RGB,
          "the model's domain is not one of jpegrt_domain");
  Require(model.cell_px == 1, "the cell_px of a model that takes pixels is not 1");
  Require(enlargement_ <= kMaxEnlargement, "the model's enlargement is not from 1 to 4");
  Require(minimum_px_ <= kMaxMinimumPx, "the model's minimum_px is more than 4096");
  Require(multiple_px_ <= kMaxMultiplePx, "the model's multiple_px is more than 1024");
  if (model.unfoldings > 0) {
    colour_graph_ = "rem";
    return;
  }
  for (uint32_t i = 0; i < model.n_graphs; ++i) {
    const jpegrt_graph& graph = model.graphs[i];
    const bool is_colour = graph.components == 3 && domain_ == JPEGRT_DOMAIN_RGB;
    Require(graph.name && *graph.name && (graph.components == 1 || is_colour) &&
                graph.chroma_h == 1 && graph.chroma_v == 1,
            "a graph of the model does not fit its domain");
    std::string& name = is_colour ? colour_graph_ : grey_graph_;
    Require(name.empty(), "two graphs of a model that takes pixels have as many components");
    name = graph.name;
  }
  if (domain_ == JPEGRT_DOMAIN_RGB)
    Require(!colour_graph_.empty(), "the model has no graph for RGB images");
  else
    Require(!grey_graph_.empty(), "the model has no graph for grey images");
}

TilingRule PixelModel::TilingFor(uint32_t receptive_field_px) const {
  // Of chroma, cubic convolution takes the two nearest samples to either side.
  constexpr uint32_t chroma_reach_px = 2;
  return {multiple_px_, std::max(receptive_field_px, chroma_reach_px), minimum_px_};
}

PixelTensors PixelModel::TensorsFor(const PixelView& view) const {
  const bool is_grey =
      domain_ == JPEGRT_DOMAIN_LUMA || (view.colour == JPEGRT_COLOUR_GREY && !grey_graph_.empty());
  PixelTensors tensors = {};
  tensors.graph = is_grey ? grey_graph_.c_str() : colour_graph_.c_str();
  tensors.planes = is_grey ? 1 : 3;
  tensors.rows = Padded(view.height, minimum_px_, multiple_px_);
  tensors.columns = Padded(view.width, minimum_px_, multiple_px_);
  tensors.restored_rows = enlargement_ * tensors.rows;
  tensors.restored_columns = enlargement_ * tensors.columns;
  return tensors;
}

void PixelModel::Fill(const PixelView& view, const PixelTensors& tensors, ThreadPool* threads,
                      float* image) {
  const uint32_t width = view.width;
  const size_t channels = view.colour == JPEGRT_COLOUR_GREY ? 1 : 3;
  const size_t plane = tensors.rows * tensors.columns;
  float* chroma = nullptr;
  const size_t chroma_plane = static_cast<size_t>(width) * view.height;
  if (channels > tensors.planes) chroma = chroma_storage_.Reserve(2 * chroma_plane);
  chroma_ = chroma;

  threads->ParallelFor(view.height, [&](uint32_t first, uint32_t last) {
    for (uint32_t y = first; y < last; ++y) {
      const uint8_t* row = view.data + y * view.row_stride;
      float* planes[3];
      for (size_t c = 0; c < 3; ++c) {
        const bool inside = c < tensors.planes;
        if (inside)
          planes[c] = image + c * plane + y * tensors.columns;
        else if (chroma)
          planes[c] = chroma + (c - 1) * chroma_plane + static_cast<size_t>(y) * width;
      }
      if (chroma && view.colour == JPEGRT_COLOUR_RGB)
        SplitRow(row, width, view.pixel_stride, scale_, planes[0], planes[1], planes[2]);
      else
        FillRow(row, width, view.pixel_stride, channels, scale_, planes);
      // Grey for a network of three channels: three times the same.
      for (size_t c = channels; c < tensors.planes; ++c)
        std::copy(planes[0], planes[0] + width, planes[c]);
      for (size_t c = 0; c < tensors.planes; ++c)
        std::fill(planes[c] + width, planes[c] + tensors.columns, planes[c][width - 1]);
    }
  });
  for (size_t c = 0; c < tensors.planes; ++c) {
    float* lowest = image + c * plane + (view.height - 1) * tensors.columns;
    for (size_t y = view.height; y < tensors.rows; ++y)
      std::copy(lowest, lowest + tensors.columns, image + c * plane + y * tensors.columns);
  }
}

template <typename Pixel>
void PixelModel::Write(const PixelView& view, const PixelTensors& tensors, const float* restored,
                       const Area& kept, ThreadPool* threads, Pixel* pixels,
                       size_t row_stride) const {
  const uint32_t width = enlargement_ * view.width;
  const uint32_t left = enlargement_ * kept.x.first, top = enlargement_ * kept.y.first;
  const size_t pitch = tensors.restored_columns, plane = tensors.restored_rows * pitch;
  const bool mix = view.colour == JPEGRT_COLOUR_GREY && tensors.planes == 3;
  const size_t chroma_plane = static_cast<size_t>(view.width) * view.height;
  const jpegrt_colour colour = chroma_ ? JPEGRT_COLOUR_YCBCR : view.colour;

  threads->ParallelFor(enlargement_ * kept.y.size(), [&](uint32_t first, uint32_t last) {
    std::vector<float> scratch(view.width), rows(2 * static_cast<size_t>(width));
    for (uint32_t kept_row = first; kept_row < last; ++kept_row) {
      const uint32_t y = top + kept_row;
      CellImage row = {{}, 1, pitch, plane, scale_, scale_};
      for (size_t c = 0; c < tensors.planes; ++c) row.cells[c] = restored + c * plane + y * pitch;
      if (mix) {
        for (uint32_t x = 0; x < width; ++x)
          rows[x] = Luma(row.cells[0][x], row.cells[1][x], row.cells[2][x]);
        row.cells[0] = rows.data();
      }
      for (size_t c = 0; chroma_ && c < 2; ++c) {
        float* enlarged = rows.data() + c * width;
        const PlaneView in = {chroma_ + c * chroma_plane, view.width, view.height};
        BicubicRow(in, enlargement_, y, scratch.data(), enlarged);
        row.cells[c + 1] = enlarged;
      }
      const size_t channels = colour == JPEGRT_COLOUR_GREY ? 1 : 3;
      for (size_t c = 0; c < channels; ++c) row.cells[c] += left;
      auto* out = reinterpret_cast<uint8_t*>(pixels) + kept_row * row_stride;
      PixelsFromCells(row, 0, enlargement_ * kept.x.size(), colour, reinterpret_cast<Pixel*>(out));
    }
  });
}

template void PixelModel::Write(const PixelView&, const PixelTensors&, const float*, const Area&,
                                ThreadPool*, uint8_t*, size_t) const;
template void PixelModel::Write(const PixelView&, const PixelTensors&, const float*, const Area&,
                                ThreadPool*, uint16_t*, size_t) const;

std::unique_ptr<PixelModel> PixelModelFrom(const jpegrt_model& model) {
  if (model.domain != JPEGRT_DOMAIN_CELLS && model.domain != JPEGRT_DOMAIN_SPECTRAL)
    return std::make_unique<PixelModel>(model);
  Require(model.enlargement <= 1 && model.minimum_px <= 1 && model.multiple_px <= 1,
          "a model that takes cells or spectra neither enlarges nor has a size rule");
  return nullptr;
}

}  // namespace jpegrt
