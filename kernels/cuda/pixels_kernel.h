// Planes into interleaved pixels. Each warp makes 128 pixels of one row, four a thread, gathers
// them in shared memory and stores them in whole pieces.
#pragma once

#include "../shared/colour.h"
#include "../shared/half.h"
#include "phases.h"
#include "pixels_arguments.h"
#include "upsample_kernel.h"

namespace jpegrt::cuda {

template <typename Pixel>
struct PixelTile {
  uint32_t image, first_x, first_y;
  alignas(16) Pixel pixels[kTileHeight][3 * kTileWidth];
};

template <typename Batch, typename Pixel>
JPEGRT_SHARED void LocateTile(const Batch& batch, uint32_t index, PixelTile<Pixel>& tile) {
  uint32_t first = 0, last = batch.images - 1;
  while (first < last) {
    const uint32_t middle = (first + last + 1) / 2;
    if (batch.image[middle].target.first_tile <= index)
      first = middle;
    else
      last = middle - 1;
  }
  const PixelTarget& target = batch.image[first].target;
  const uint32_t in_image = index - target.first_tile;
  tile.image = first;
  tile.first_x = in_image % target.tiles_across * kTileWidth;
  tile.first_y = in_image / target.tiles_across * kTileHeight;
}

// Stores what a warp has of a row, Piece by Piece, and the odd bytes at its end one by one.
template <typename Piece>
JPEGRT_SHARED void StorePieces(const uint8_t* row, uint32_t bytes, uint8_t* out, uint32_t lane) {
  const uint32_t pieces = bytes / sizeof(Piece);
  for (uint32_t i = lane; i < pieces; i += kWarp)
    reinterpret_cast<Piece*>(out)[i] = reinterpret_cast<const Piece*>(row)[i];
  for (uint32_t i = pieces * sizeof(Piece) + lane; i < bytes; i += kWarp) out[i] = row[i];
}

template <typename Pixel>
JPEGRT_SHARED void StorePixels(const PixelTarget& target, const PixelTile<Pixel>& tile, uint32_t y,
                               uint32_t lane) {
  if (tile.first_y + y >= target.height) return;
  const uint32_t left = target.width - tile.first_x;
  const uint32_t pixel_bytes = target.components * static_cast<uint32_t>(sizeof(Pixel));
  const uint32_t bytes = (left < kTileWidth ? left : kTileWidth) * pixel_bytes;
  const uint8_t* row = reinterpret_cast<const uint8_t*>(tile.pixels[y]);
  uint8_t* out = static_cast<uint8_t*>(target.pixels) + (tile.first_y + y) * target.row_stride +
                 static_cast<uint64_t>(tile.first_x) * pixel_bytes;
  if (target.store_bytes == 16) return StorePieces<Words4>(row, bytes, out, lane);
  if (target.store_bytes == 4) return StorePieces<uint32_t>(row, bytes, out, lane);
  StorePieces<uint8_t>(row, bytes, out, lane);
}

// `pixel(target, image, x, y, levels)` gives the levels of one pixel.
template <typename Pixel, typename Batch, typename PixelOf>
JPEGRT_SHARED void WriteOneTile(const Batch& batch, uint32_t index, PixelTile<Pixel>& tile,
                                const Phases& phases, const PixelOf& pixel_of) {
  phases.Block([&](uint32_t thread) {
    if (thread == 0) LocateTile(batch, index, tile);
  });
  const auto& image = batch.image[tile.image];
  const PixelTarget& target = image.target;
  phases.Warp([&](uint32_t thread) {
    const uint32_t lane = thread % kWarp, row = thread / kWarp, y = tile.first_y + row;
    if (y >= target.height) return;
    for (uint32_t i = 0; i < 4; ++i) {
      const uint32_t x = tile.first_x + 4 * lane + i;
      if (x >= target.width) return;
      Pixel* out = tile.pixels[row] + (4 * lane + i) * target.components;
      pixel_of(image, x, y, out);
    }
  });
  phases.Warp([&](uint32_t thread) { StorePixels(target, tile, thread / kWarp, thread % kWarp); });
}

template <typename Cell, typename Pixel>
JPEGRT_SHARED void PixelsFromCellTile(const CellBatch& batch, uint32_t index,
                                      PixelTile<Pixel>& tile, const Phases& phases) {
  WriteOneTile(batch, index, tile, phases,
               [&](const CellSource& image, uint32_t x, uint32_t y, Pixel* out) {
                 const uint32_t r = batch.log2_cell, mask = (1u << r) - 1;
                 const uint64_t offset = (((y & mask) << r) | (x & mask)) * image.plane +
                                         static_cast<uint64_t>(y >> r) * image.pitch + (x >> r);
                 const auto sample = [&](uint32_t c) {
                   return FloatFrom(static_cast<const Cell*>(image.cells[c])[offset]) * batch.gain;
                 };
                 const auto pixel = [&](float level) {
                   return static_cast<Pixel>(TruncatedLevel(level, batch.highest));
                 };
                 if (image.target.is_ycbcr) {
                   const float level = sample(0) + batch.offset, cb = sample(1), cr = sample(2);
                   out[0] = pixel(RedLevel(level, cr));
                   out[1] = pixel(GreenLevel(level, cb, cr));
                   out[2] = pixel(BlueLevel(level, cb));
                 } else {
                   for (uint32_t c = 0; c < image.target.components; ++c)
                     out[c] = pixel(sample(c) + batch.offset);
                 }
               });
}

template <typename Pixel>
JPEGRT_SHARED void PixelsFromSampleTile(const SampleBatch& batch, uint32_t index,
                                        PixelTile<Pixel>& tile, const Phases& phases) {
  constexpr int32_t level = sizeof(Pixel) == 2 ? 257 : 1;
  WriteOneTile(batch, index, tile, phases,
               [](const SampleSource& image, uint32_t x, uint32_t y, Pixel* out) {
                 if (image.target.is_ycbcr) {
                   const int32_t luma = UpsampledSample(image.plane[0], x, y);
                   const int32_t cb = UpsampledSample(image.plane[1], x, y) - 128;
                   const int32_t cr = UpsampledSample(image.plane[2], x, y) - 128;
                   out[0] = static_cast<Pixel>(level * FixedRed(luma, cr));
                   out[1] = static_cast<Pixel>(level * FixedGreen(luma, cb, cr));
                   out[2] = static_cast<Pixel>(level * FixedBlue(luma, cb));
                 } else {
                   for (uint32_t c = 0; c < image.target.components; ++c)
                     out[c] = static_cast<Pixel>(level * UpsampledSample(image.plane[c], x, y));
                 }
               });
}

}  // namespace jpegrt::cuda
