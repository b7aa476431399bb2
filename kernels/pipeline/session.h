// The pipeline: coefficients -> the network's tensors -> engine -> pixels.
#pragma once

#include <functional>
#include <memory>

#include "../cpu/pixel_model.h"
#include "../cpu/tiling.h"
#include "backend.h"
#include "coded_image.h"
#include "engine.h"
#include "graphs.h"
#include "jpegrt.h"
#include "pixel_pipeline.h"

namespace jpegrt {

class Session {
 public:
  // Throws Error, as all of it.
  Session(const jpegrt_session_options& options, const jpegrt_model* model,
          const jpegrt_engine* engine);

  const jpegrt_image& Read(const uint8_t* bytes, size_t size);
  void Load(const jpegrt_image& image);
  void LoadPixels(const uint8_t* pixels, uint32_t width, uint32_t height, uint32_t channels,
                  size_t row_stride);
  jpegrt_pixel_size OutputSize() const;
  void Restore(const Destination& to);
  // Of no rows beyond the last.
  jpegrt_strip Strip(uint32_t index) const;
  // Adds to the timings.
  void RestoreStrip(uint32_t index, const Destination& to);
  const jpegrt_timings& timings() const { return timings_; }
  // For what the engine does outside of Restore.
  void OnDevice(const std::function<void()>& body) const { backend_->OnDevice(body); }

 private:
  // Before another image is taken.
  void Forget();
  void Take(const jpegrt_image& image);
  void RefuseReentry() const;
  void RefuseDestination(const Destination& to) const;

  uint32_t Enlargement() const { return pixel_pipeline_ ? pixel_pipeline_->enlargement() : 1; }
  Tiling Rows() const;
  Tiling Columns() const;
  TilingRule Rule(uint32_t mcu_px) const;

  // Rows of pieces, from `first` up to but without `last`.
  void RestoreRows(uint32_t first, uint32_t last, const Destination& to);
  void RestorePiece(const Area& seen, const Area& kept, const Destination& to);
  void DecodePlainly(const Area& part, const Destination& to);
  void RestoreCoefficients(const Area& seen, const Area& kept, const Destination& to);
  // Luma and chroma, into each component's full-resolution cells; moves where those of the last
  // are.
  void RestoreTogether(const CodedImage& image, const Graph& graph, const Grid& grid,
                       const Workspace& work, float* restored[]);
  // One component, into its cells.
  void RestoreAlone(const CodedImage& image, uint32_t component, const Grid& grid,
                    const Workspace& work, float* restored);
  // Whether a component that is restored alone stays as a plain decoder makes it.
  bool IsPlain(const CodedImage& image, uint32_t component) const;
  void UnpackSpectrum(const CodedImage& image, uint32_t component, float* spectrum);
  void Unpack(const CodedImage& image, const Grid& grid,
              const std::vector<ComponentCells>& components);
  void Run(const Graph& graph, const std::vector<jpegrt_tensor>& inputs,
           const std::vector<jpegrt_tensor>& outputs, void* stream);
  jpegrt_tensor DeviceTensor(const char* name, float* data,
                             std::initializer_list<size_t> shape) const;

  const jpegrt_read_options read_options_;
  const uint32_t tile_px_;
  uint32_t receptive_field_px_ = 0;
  uint32_t cell_px_ = 0;
  float scale_ = 1;
  bool is_spectral_ = false;
  Graphs graphs_;
  std::unique_ptr<Engine> engine_;  // null: a plain decoder
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<PixelPipeline> pixel_pipeline_;  // null: the model takes coefficients

  CodedImage image_;
  PixelView pixels_ = {};  // instead of image_ if it has data
  bool has_image_ = false;
  jpegrt_timings timings_ = {};
};

}  // namespace jpegrt
