#include "coded_image.h"

#include <algorithm>

#include "../cpu/error.h"
#include "../cpu/geometry.h"

namespace jpegrt {

CodedImage::CodedImage(const jpegrt_image& image) : jpegrt_image(image) {
  if (components < 4) inverted = 0;
  for (uint32_t c = 0; c < components; ++c) {
    max_h = std::max(max_h, component[c].h);
    max_v = std::max(max_v, component[c].v);
  }
}

CodedImage CodedImage::Part(const Area& area) const {
  CodedImage part = *this;
  part.width = area.x.size();
  part.height = area.y.size();
  DeriveComponentSizes(&part);
  for (uint32_t c = 0; c < components; ++c) {
    jpegrt_blocks& blocks = part.component[c].blocks;
    const size_t row = area.y.first / (8 * PixelsDown(c));
    const size_t column = area.x.first / (8 * PixelsAcross(c));
    // A session on a GPU has none here.
    if (blocks.data) blocks.data += 64 * (row * blocks.stride + column);
  }
  return part;
}

Area CodedImage::AreaAround(const Area& area) const {
  const uint32_t reach = UpsamplingReach();
  const auto around = [reach](const Span& span, uint32_t mcu, uint32_t length) {
    const uint32_t first = (std::max(span.first, reach) - reach) / mcu * mcu;
    const uint32_t last = (span.last + reach + mcu - 1) / mcu * mcu;
    return Span{first, std::min(last, length)};
  };
  return {around(area.x, McuWidth(), width), around(area.y, McuHeight(), height)};
}

float CodedImage::ScaleOf(uint32_t c, float scale) const {
  if (components < 4) return scale;
  // C, M and Y of YCCK are what R, G and B of its Y, Cb and Cr leave, K is as it is.
  const bool is_light = (inverted != 0) != (colour == JPEGRT_COLOUR_YCCK && c < 3);
  return is_light ? scale : -scale;
}

Grid CodedImage::PaddedGrid(uint32_t cell_px, float scale) const {
  const uint32_t mcu_width = McuWidth(), mcu_height = McuHeight();
  const size_t mcu_columns = (width + mcu_width - 1) / mcu_width;
  const size_t mcu_rows = (height + mcu_height - 1) / mcu_height;
  return {mcu_rows * mcu_height / cell_px, mcu_columns * mcu_width / cell_px, cell_px, scale};
}

Grid CodedImage::SampleGrid(float scale) const {
  const jpegrt_blocks& luma = component[0].blocks;
  return {size_t{8} * luma.rows, size_t{8} * luma.columns, 1, scale};
}

void RefuseInconsistent(const jpegrt_image& image) {
  const auto require = [](bool is_so, const char* otherwise) {
    if (!is_so) throw Error(JPEGRT_ERR_INVALID_ARGUMENT, otherwise);
  };
  const bool is_grey = image.components == 1 && image.colour == JPEGRT_COLOUR_GREY;
  const bool is_colour = image.components == 3 &&
                         (image.colour == JPEGRT_COLOUR_YCBCR || image.colour == JPEGRT_COLOUR_RGB);
  const bool is_inks = image.components == 4 &&
                       (image.colour == JPEGRT_COLOUR_CMYK || image.colour == JPEGRT_COLOUR_YCCK);
  require(is_grey || is_colour || is_inks, "the image's components and colour do not go together");
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

// libjpeg lets steps of zero pass, which a file can have where all coefficients are zero too; a
// network may take their logarithm.
void CopySteps(const uint16_t table[64], float* steps) {
  for (int k = 0; k < 64; ++k) steps[k] = static_cast<float>(std::max<uint16_t>(table[k], 1));
}

}  // namespace jpegrt
