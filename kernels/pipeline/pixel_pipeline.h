// The pipeline of models that take pixels, on the CPU: pixels, or a JPEG plainly decoded -> the
// network's image -> engine -> pixels.
#pragma once

#include <memory>

#include "../cpu/buffer.h"
#include "../cpu/pixel_model.h"
#include "coded_image.h"
#include "cpu_backend.h"
#include "engine.h"

namespace jpegrt {

class PixelPipeline {
 public:
  // `backend` decodes, and has the threads.
  PixelPipeline(std::unique_ptr<PixelModel> model, CpuBackend* backend)
      : model_(std::move(model)), backend_(backend) {}

  uint32_t enlargement() const { return model_->enlargement(); }

  void Restore(const PixelView& view, Engine* engine, const Destination& to,
               jpegrt_timings* timings);
  void Restore(const CodedImage& image, Engine* engine, const Destination& to,
               jpegrt_timings* timings);

 private:
  PixelView Decoded(const CodedImage& image, jpegrt_timings* timings);

  const std::unique_ptr<PixelModel> model_;
  CpuBackend* const backend_;
  Buffer<uint8_t> decoded_;
  Buffer<float> image_, restored_;
};

}  // namespace jpegrt
