// A JPEG's image on its way through the pipeline, and the grid of cells that holds it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../cpu/tiling.h"
#include "jpegrt.h"

namespace jpegrt {

constexpr uint32_t kMaxSide = 65535;  // what a JPEG's header can state

// A network's cells of one image: each component is cell_px^2 planes of rows x columns, of centred
// samples times scale.
struct Grid {
  size_t rows, columns;
  uint32_t cell_px;
  float scale;
  size_t plane() const { return rows * columns; }
  size_t component() const { return cell_px * cell_px * plane(); }
};

struct CodedImage : jpegrt_image {
  CodedImage() : jpegrt_image{} {}
  explicit CodedImage(const jpegrt_image& image);

  // Pixels per sample, across and down.
  uint32_t PixelsAcross(uint32_t c) const { return max_h / component[c].h; }
  uint32_t PixelsDown(uint32_t c) const { return max_v / component[c].v; }
  bool IsFullResolution(uint32_t c) const { return PixelsAcross(c) == 1 && PixelsDown(c) == 1; }

  bool HasChroma() const { return colour == JPEGRT_COLOUR_YCBCR || colour == JPEGRT_COLOUR_YCCK; }
  bool IsChroma(uint32_t c) const { return HasChroma() && (c == 1 || c == 2); }
  // What a component's centred samples are multiplied by for a network, which sees light: negative
  // where larger samples stand for more ink.
  float ScaleOf(uint32_t c, float scale) const;

  // A lone component is coded block by block, whatever its sampling factors say.
  uint32_t McuWidth() const { return components == 1 ? 8 : 8 * max_h; }
  uint32_t McuHeight() const { return components == 1 ? 8 : 8 * max_v; }
  // How many pixels away a sample of chroma can be that upsampling takes part of.
  uint32_t UpsamplingReach() const { return max_h == 1 && max_v == 1 ? 0 : 4; }
  Area All() const { return {{0, width}, {0, height}}; }

  // A part of the image, which begins and ends at whole MCUs or at the image's end; an image like
  // any other, with the same coefficients.
  CodedImage Part(const Area& area) const;
  // The least of such that has the area, and all that upsampling it looks at.
  Area AreaAround(const Area& area) const;

  // Luma padded to whole MCUs.
  Grid PaddedGrid(uint32_t cell_px, float scale) const;
  // Samples of luma's own blocks.
  Grid SampleGrid(float scale) const;

  uint32_t max_h = 1, max_v = 1;  // the components' largest sampling factors
};

// For an image of the caller's making: the pipeline trusts its sizes. Throws Error.
void RefuseInconsistent(const jpegrt_image& image);

// A quantisation table as networks take it: 64 floats, none of them 0.
void CopySteps(const uint16_t table[64], float* steps);

}  // namespace jpegrt
