#include "pixel_pipeline.h"

#include "stopwatch.h"

namespace jpegrt {

void PixelPipeline::Restore(const PixelView& image, const Area& seen, const Area& kept,
                            Engine* engine, const Destination& to, jpegrt_timings* timings) {
  const size_t channels = image.colour == JPEGRT_COLOUR_GREY ? 1 : 3;
  const PixelView view = {image.data + seen.y.first * image.row_stride + seen.x.first * channels,
                          image.row_stride, seen.x.size(), seen.y.size(), image.colour};
  Restore(view, kept.In(seen), engine, to, timings);
}

void PixelPipeline::Restore(const CodedImage& image, const Area& seen, const Area& kept,
                            Engine* engine, const Destination& to, jpegrt_timings* timings) {
  Restore(Decoded(image, seen, timings), kept.In(seen), engine, to, timings);
}

void PixelPipeline::Restore(const PixelView& view, const Area& kept, Engine* engine,
                            const Destination& to, jpegrt_timings* timings) {
  const PixelTensors tensors = model_->TensorsFor(view);
  float* restored = restored_.Reserve(tensors.restored_size());
  float* image = image_.Reserve(tensors.size());
  {
    Stopwatch stopwatch(&timings->unpack_ms);
    model_->Fill(view, tensors, backend_->threads(), image);
  }
  {
    Stopwatch stopwatch(&timings->network_ms);
    RunNetwork(tensors, image, engine, restored);
  }
  Stopwatch stopwatch(&timings->pixels_ms);
  if (to.dtype == JPEGRT_UINT8)
    model_->Write(view, tensors, restored, kept, backend_->threads(),
                  static_cast<uint8_t*>(to.pixels), to.row_stride);
  else
    model_->Write(view, tensors, restored, kept, backend_->threads(),
                  static_cast<uint16_t*>(to.pixels), to.row_stride);
}

void PixelPipeline::RunNetwork(const PixelTensors& tensors, float* image, Engine* engine,
                               float* restored) {
  if (unfolding_)
    return unfolding_->Run(image, tensors.rows, tensors.columns, backend_->threads(), engine,
                           restored);
  engine->Run(tensors.graph,
              {Tensor("image", image, JPEGRT_DEVICE_CPU,
                      {1, tensors.planes, tensors.rows, tensors.columns})},
              {Tensor("image_restored", restored, JPEGRT_DEVICE_CPU,
                      {1, tensors.planes, tensors.restored_rows, tensors.restored_columns})},
              nullptr);
}

PixelView PixelPipeline::Decoded(const CodedImage& image, const Area& part,
                                 jpegrt_timings* timings) {
  const bool as_rgb = image.colour == JPEGRT_COLOUR_YCBCR && !model_->takes_ycbcr();
  const jpegrt_colour colour = as_rgb ? JPEGRT_COLOUR_RGB : image.colour;
  const size_t row = static_cast<size_t>(part.x.size()) * image.components;
  uint8_t* decoded = decoded_.Reserve(row * part.y.size());
  const bool as_is = colour == JPEGRT_COLOUR_YCBCR;
  jpegrt_timings decoding = {};
  backend_->DecodeAs(as_is ? JPEGRT_COLOUR_RGB : image.colour, image, part,
                     {decoded, row, JPEGRT_UINT8, false, nullptr}, &decoding);
  // To a model that takes pixels, decoding is part of making its input.
  timings->unpack_ms += decoding.unpack_ms + decoding.pixels_ms;
  return {decoded, row, part.x.size(), part.y.size(), colour};
}

}  // namespace jpegrt
