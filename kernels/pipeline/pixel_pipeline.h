// The pipeline of models that take pixels, on the CPU: pixels, or a JPEG plainly decoded -> the
// network's image -> engine -> pixels.
#pragma once

#include <memory>

#include "../cpu/buffer.h"
#include "../cpu/pixel_model.h"
#include "coded_image.h"
#include "cpu_backend.h"
#include "engine.h"
#include "unfolding.h"

namespace jpegrt {

class PixelPipeline {
 public:
  // `backend` decodes, and has the threads. unfolding: null for a network of one graph.
  PixelPipeline(std::unique_ptr<PixelModel> model, std::unique_ptr<Unfolding> unfolding,
                CpuBackend* backend)
      : model_(std::move(model)), unfolding_(std::move(unfolding)), backend_(backend) {}

  uint32_t enlargement() const { return model_->enlargement(); }

  TilingRule TilingFor(uint32_t receptive_field_px) const {
    return model_->TilingFor(receptive_field_px);
  }

  // Lets the network see a part of the image, and writes what is to be kept of the result.
  void Restore(const PixelView& image, const Area& seen, const Area& kept, Engine* engine,
               const Destination& to, jpegrt_timings* timings);
  void Restore(const CodedImage& image, const Area& seen, const Area& kept, Engine* engine,
               const Destination& to, jpegrt_timings* timings);

 private:
  // CMYK: what C, M and Y leave of the light as RGB, and what K leaves as grey. `kept` is counted
  // from the corner of what is seen.
  void RestoreInks(const CodedImage& image, const Area& seen, const Area& kept, Engine* engine,
                   const Destination& to, jpegrt_timings* timings);
  // All of `view` is seen; `kept` is counted from its corner.
  void Restore(const PixelView& view, const Area& kept, Engine* engine, const Destination& to,
               jpegrt_timings* timings);
  void RunNetwork(const PixelTensors& tensors, float* image, Engine* engine, float* restored);
  PixelView Decoded(const CodedImage& image, const Area& part, jpegrt_timings* timings);

  const std::unique_ptr<PixelModel> model_;
  const std::unique_ptr<Unfolding> unfolding_;
  CpuBackend* const backend_;
  Buffer<uint8_t> decoded_, inks_;
  Buffer<float> image_, restored_;
};

}  // namespace jpegrt
