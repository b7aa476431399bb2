// Models that take pixels: an image's pixels into the network's input, and its output into pixels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "buffer.h"
#include "jpegrt.h"
#include "thread_pool.h"
#include "tiling.h"

namespace jpegrt {

// Interleaved 8-bit samples.
struct PixelView {
  const uint8_t* data;
  size_t row_stride;  // bytes
  uint32_t width, height;
  jpegrt_colour colour;   // what the channels are: one grey, R G B, or Y Cb Cr
  uint32_t pixel_stride;  // bytes; more than there are channels where others lie between
};

// The planes of an image's `image` and `image_restored`, padded to the model's size rule.
struct PixelTensors {
  const char* graph;
  size_t planes;
  size_t rows, columns;                    // of `image`
  size_t restored_rows, restored_columns;  // of `image_restored`
  size_t size() const { return planes * rows * columns; }
  size_t restored_size() const { return planes * restored_rows * restored_columns; }
};

class PixelModel {
 public:
  // Throws Error.
  explicit PixelModel(const jpegrt_model& model);

  // The output is as many times as wide and as high as the image.
  uint32_t enlargement() const { return enlargement_; }
  // How the image may be restored in pieces, if the network sees so many pixels to either side.
  TilingRule TilingFor(uint32_t receptive_field_px) const;
  // Whether a JPEG's Y, Cb and Cr are taken as they are, without making RGB of them.
  bool takes_ycbcr() const { return domain_ == JPEGRT_DOMAIN_LUMA; }

  PixelTensors TensorsFor(const PixelView& view) const;

  // Fills `image`. What goes around the network, chroma, is kept until the next call.
  void Fill(const PixelView& view, const PixelTensors& tensors, ThreadPool* threads, float* image);

  // Pixels of the view last given to Fill, grey or RGB, rows `row_stride` bytes apart; `Pixel` is
  // uint8_t or uint16_t. Only those that `kept` is enlarged to.
  template <typename Pixel>
  void Write(const PixelView& view, const PixelTensors& tensors, const float* restored,
             const Area& kept, ThreadPool* threads, Pixel* pixels, size_t row_stride) const;

 private:
  jpegrt_domain domain_;
  float scale_;
  uint32_t enlargement_, minimum_px_, multiple_px_;
  std::string colour_graph_, grey_graph_;  // empty: there is none
  Buffer<float> chroma_storage_;
  const float* chroma_ =
      nullptr;  // Cb's plane, then Cr's, of the image's size; null: all is inside
};

// Null for a model that takes coefficients. Throws Error for one that no session can be made of.
std::unique_ptr<PixelModel> PixelModelFrom(const jpegrt_model& model);

}  // namespace jpegrt
