// The pipeline: coefficients -> the network's tensors -> engine -> pixels.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "buffer.h"
#include "coefficients.h"
#include "jpegrt.h"
#include "pixel_model.h"
#include "pixels.h"
#include "thread_pool.h"
#include "unpack.h"

namespace jpegrt {

class Session {
 public:
  Session(const jpegrt_session_options& options, const jpegrt_model* model,
          const jpegrt_engine* engine);

  const jpegrt_image& Read(const uint8_t* bytes, size_t size);
  void Load(const jpegrt_image& image);
  void LoadPixels(const uint8_t* pixels, uint32_t width, uint32_t height, uint32_t channels,
                  size_t row_stride);
  jpegrt_pixel_size OutputSize() const;
  // Pixel is uint8_t or uint16_t.
  template <typename Pixel>
  void Restore(Pixel* pixels, size_t row_stride);
  const jpegrt_timings& timings() const { return timings_; }

 private:
  struct Graph {
    std::string name;
    uint32_t components, chroma_h, chroma_v;
  };

  // The cells that hold one image: planes of rows x columns.
  struct Grid {
    size_t rows, columns;
    size_t plane() const { return rows * columns; }
  };

  void RefuseReentry() const;
  void Take(const jpegrt_image& image);
  // `colour` is the image's own, or RGB to leave Y, Cb and Cr as they are.
  template <typename Pixel>
  void DecodePlainly(jpegrt_colour colour, Pixel* pixels, size_t row_stride);
  template <typename Pixel>
  void RestoreWithModel(Pixel* pixels, size_t row_stride);
  template <typename Pixel>
  void RestorePixels(Pixel* pixels, size_t row_stride);
  // The pixels that were given, or those of the JPEG, decoded.
  PixelView PixelsToRestore();
  // Into `restored`: each component's cell_px^2 planes of full-resolution cells, one after another.
  void RestoreTogether(const Graph& graph, const Grid& grid, float* restored);
  void RestoreAlone(const Grid& grid, float* restored);
  void Project(const Grid& grid, float* restored);

  const Graph* GraphFor(uint32_t chroma_h, uint32_t chroma_v) const;
  const Graph& GreyGraph() const;
  Grid PaddedGrid() const;
  void Samples(uint32_t component, uint8_t* samples);
  // The component's cells, straight from its blocks if it is sampled as expected (pixels per
  // sample, across and down), else upsampled to full resolution first.
  void Cells(uint32_t component, CellSize cell, CellSize sampling, const Grid& grid, float* cells);
  void UpsampledCells(uint32_t component, const Grid& grid, float* cells);
  void Run(const Graph& graph, const std::vector<jpegrt_tensor>& inputs,
           const std::vector<jpegrt_tensor>& outputs);

  jpegrt_read_options read_options_;
  uint32_t cell_px_ = 0;
  float scale_ = 1;
  std::vector<Graph> graphs_;
  std::unique_ptr<const jpegrt_engine> engine_;
  std::unique_ptr<PixelModel> pixel_model_;  // null: the model takes cells
  bool project_;
  float slack_;

  Coefficients coefficients_;
  ThreadPool threads_;
  jpegrt_image image_ = {};
  PixelView pixels_ = {};  // instead of image_ if it has data
  bool has_image_ = false;
  bool engine_is_running_ = false;
  uint32_t max_h_ = 1, max_v_ = 1;
  jpegrt_timings timings_ = {};

  Buffer<uint8_t> samples_[JPEGRT_MAX_COMPONENTS];
  Buffer<float> inputs_, outputs_;
  Buffer<uint8_t> decoded_;
};

}  // namespace jpegrt
