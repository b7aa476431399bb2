#include "pixels.h"

#include <algorithm>
#include <cfloat>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "../cpu/error.h"
#include "component.h"
#include "pixels_arguments.h"
#include "unpack.h"

namespace jpegrt::cuda {
namespace {

constexpr uint32_t kMaxSide = 1u << 20;  // pixels

void Require(bool condition, size_t index, const char* what) {
  if (!condition)
    throw Error(JPEGRT_ERR_INVALID_ARGUMENT, "image " + std::to_string(index) + ": " + what);
}

uint64_t TilesOf(const PixelTarget& target) {
  return static_cast<uint64_t>(target.tiles_across) *
         ((target.height + kTileHeight - 1) / kTileHeight);
}

PixelTarget Target(void* pixels, uint64_t row_stride, uint32_t width, uint32_t height,
                   jpegrt_colour colour, size_t pixel_bytes, size_t index) {
  Require(pixels, index, "its pixels are a null pointer");
  Require(width && height && width <= kMaxSide && height <= kMaxSide, index,
          "its sides are 1 to 2^20 pixels");
  Require(colour >= JPEGRT_COLOUR_GREY && colour <= JPEGRT_COLOUR_RGB, index, "unknown colour");
  PixelTarget target = {};
  target.pixels = pixels;
  target.row_stride = row_stride;
  target.width = width;
  target.height = height;
  target.tiles_across = (width + kTileWidth - 1) / kTileWidth;
  target.components = colour == JPEGRT_COLOUR_GREY ? 1 : 3;
  target.is_ycbcr = colour == JPEGRT_COLOUR_YCBCR;
  const uint64_t bits = reinterpret_cast<uintptr_t>(pixels) | row_stride;
  target.store_bytes = bits % 16 == 0 ? 16 : bits % 4 == 0 ? 4 : 1;
  Require(bits % pixel_bytes == 0, index, "its rows are not aligned to a pixel's values");
  Require(row_stride >= static_cast<uint64_t>(width) * target.components * pixel_bytes, index,
          "row_stride is less than a row of pixels");
  return target;
}

// Fills batches with `source(i)` and launches each when it is full, or when its tiles would exceed
// what one launch may have.
template <typename Batch, size_t kMaxImages, typename SourceOf>
void LaunchBatches(const Context& context, const char* kernel, Batch* batch, size_t n_images,
                   void* stream, const SourceOf& source_of) {
  constexpr uint64_t max_tiles = (1u << 31) - 1;
  uint64_t tiles = 0;
  batch->images = 0;
  const auto launch = [&] {
    if (!batch->images) return;
    context.Launch(kernel, static_cast<uint32_t>(tiles), *batch, stream);
    batch->images = 0;
    tiles = 0;
  };
  for (size_t i = 0; i < n_images; ++i) {
    auto source = source_of(i);
    if (batch->images == kMaxImages || tiles + TilesOf(source.target) > max_tiles) launch();
    source.target.first_tile = static_cast<uint32_t>(tiles);
    tiles += TilesOf(source.target);
    batch->image[batch->images++] = source;
  }
  launch();
}

CellSource Cells(const jpegrt_cell_image& image, size_t index, uint32_t cell_px,
                 jpegrt_dtype cell_dtype, size_t pixel_bytes) {
  CellSource source = {};
  source.target = Target(image.pixels, image.row_stride, image.width, image.height, image.colour,
                         pixel_bytes, index);
  for (uint32_t c = 0; c < source.target.components; ++c) {
    Require(image.cells[c], index, "its cells are a null pointer");
    Require(IsAligned(image.cells[c], SizeOf(cell_dtype)), index,
            "its cells are not aligned to an element");
    source.cells[c] = image.cells[c];
  }
  source.plane = image.plane;
  source.pitch = image.pitch;
  const uint64_t row = (image.width + cell_px - 1) / cell_px;
  const uint64_t rows = (image.height + cell_px - 1) / cell_px;
  Require(image.pitch >= row && (cell_px == 1 || image.plane >= (rows - 1) * image.pitch + row),
          index, "its pitch or its planes are smaller than it");
  return source;
}

uint64_t SampleBytes(const jpegrt_component& component) {
  const uint64_t bytes =
      64 * static_cast<uint64_t>(component.blocks.rows) * component.blocks.columns;
  return (bytes + 15) / 16 * 16;
}

void RequireDecodable(const jpegrt_decoding& decoding, size_t index) {
  const jpegrt_image* image = decoding.image;
  Require(image, index, "it is a null pointer");
  Require(image->components == (image->colour == JPEGRT_COLOUR_GREY ? 1u : 3u), index,
          "its colour does not fit its components");
  for (uint32_t c = 0; c < image->components; ++c) {
    const jpegrt_component& component = image->component[c];
    Require(component.width && component.height && component.h && component.v &&
                component.width <= 8 * static_cast<uint64_t>(component.blocks.columns) &&
                component.height <= 8 * static_cast<uint64_t>(component.blocks.rows),
            index, "a component has more samples than its blocks hold");
  }
}

SampleSource Samples(const jpegrt_decoding& decoding, size_t index, size_t pixel_bytes,
                     const std::vector<uint8_t*>& samples) {
  const jpegrt_image& image = *decoding.image;
  SampleSource source = {};
  source.target = Target(decoding.pixels, decoding.row_stride, image.width, image.height,
                         image.colour, pixel_bytes, index);
  uint32_t max_h = 1, max_v = 1;
  for (uint32_t c = 0; c < image.components; ++c) {
    max_h = std::max(max_h, image.component[c].h);
    max_v = std::max(max_v, image.component[c].v);
  }
  for (uint32_t c = 0; c < image.components; ++c) {
    const jpegrt_component& component = image.component[c];
    const uint32_t h = max_h / component.h, v = max_v / component.v;
    Require(h <= 255 && v <= 255 && static_cast<uint64_t>(component.width) * h >= image.width &&
                static_cast<uint64_t>(component.height) * v >= image.height,
            index, "a component has fewer samples than the image needs");
    source.plane[c] = {samples[c],       8 * component.blocks.columns, component.width,
                       component.height, static_cast<uint8_t>(h),      static_cast<uint8_t>(v)};
  }
  return source;
}

}  // namespace

void PixelsFromCells(const Context& context, const jpegrt_cell_image* images, size_t n_images,
                     uint32_t cell_px, jpegrt_dtype cell_dtype, float scale,
                     jpegrt_dtype pixel_dtype, void* stream) {
  const bool half = cell_dtype == JPEGRT_FLOAT16, wide = pixel_dtype == JPEGRT_UINT16;
  if ((!half && cell_dtype != JPEGRT_FLOAT32) || (!wide && pixel_dtype != JPEGRT_UINT8))
    throw Error(JPEGRT_ERR_INVALID_ARGUMENT,
                "cells are float32 or float16, pixels uint8 or uint16");
  if ((cell_px != 1 && cell_px != 2 && cell_px != 4 && cell_px != 8) ||
      !(scale > 0 && scale <= FLT_MAX))
    throw Error(JPEGRT_ERR_INVALID_ARGUMENT,
                "cell_px is 1, 2, 4 or 8, and scale is above 0 and finite");
  const size_t pixel_bytes = wide ? 2 : 1;
  const auto cells = [&](size_t i) {
    return Cells(images[i], i, cell_px, cell_dtype, pixel_bytes);
  };
  for (size_t i = 0; i < n_images; ++i) cells(i);

  const auto batch = std::make_unique<CellBatch>();
  batch->log2_cell = static_cast<uint32_t>(__builtin_ctz(cell_px));
  batch->gain = (wide ? 257 : 1) / scale;
  batch->offset = wide ? 257 * 128 + 0.5f : 128.5f;
  batch->highest = wide ? 65535 : 255;
  const char* kernel = half   ? wide ? "pixels_u16_from_cells_f16" : "pixels_u8_from_cells_f16"
                       : wide ? "pixels_u16_from_cells_f32"
                              : "pixels_u8_from_cells_f32";
  LaunchBatches<CellBatch, kMaxCellSources>(context, kernel, batch.get(), n_images, stream, cells);
}

uint64_t DecodeScratchBytes(const jpegrt_decoding* decodings, size_t n_decodings) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < n_decodings; ++i) RequireDecodable(decodings[i], i);
  for (size_t i = 0; i < n_decodings; ++i)
    for (uint32_t c = 0; c < decodings[i].image->components; ++c)
      bytes += SampleBytes(decodings[i].image->component[c]);
  return bytes;
}

void Decode(const Context& context, const jpegrt_decoding* decodings, size_t n_decodings,
            jpegrt_dtype pixel_dtype, uint8_t* scratch, void* stream) {
  for (size_t i = 0; i < n_decodings; ++i) RequireDecodable(decodings[i], i);
  if (!IsAligned(scratch, 16))
    throw Error(JPEGRT_ERR_INVALID_ARGUMENT, "scratch is not aligned to 16 bytes");
  if (!n_decodings) return;
  const bool wide = pixel_dtype == JPEGRT_UINT16;
  std::optional<Context::Memory> memory;
  if (!scratch) {
    memory.emplace(context, DecodeScratchBytes(decodings, n_decodings), stream);
    scratch = memory->data();
  }

  std::vector<jpegrt_unpacking> components;
  std::vector<SampleSource> sources;
  for (size_t i = 0; i < n_decodings; ++i) {
    const jpegrt_image& image = *decodings[i].image;
    std::vector<uint8_t*> samples;
    for (uint32_t c = 0; c < image.components; ++c) {
      const jpegrt_component& component = image.component[c];
      jpegrt_unpacking unpacking = {};
      unpacking.blocks = component.blocks;
      unpacking.packed = component.blocks.data ? nullptr : decodings[i].packed[c];
      unpacking.out = scratch;
      unpacking.pitch = 8 * component.blocks.columns;
      components.push_back(unpacking);
      samples.push_back(scratch);
      scratch += SampleBytes(component);
    }
    sources.push_back(Samples(decodings[i], i, wide ? 2 : 1, samples));
  }
  Unpack(context, components.data(), components.size(), JPEGRT_LAYOUT_SAMPLES, JPEGRT_UINT8, 1,
         stream);
  const auto batch = std::make_unique<SampleBatch>();
  const char* kernel = wide ? "pixels_u16_from_samples" : "pixels_u8_from_samples";
  LaunchBatches<SampleBatch, kMaxSampleSources>(context, kernel, batch.get(), sources.size(),
                                                stream, [&](size_t i) { return sources[i]; });
}

}  // namespace jpegrt::cuda
