#include "pixel_pipeline.h"

#include "../cpu/pixels.h"
#include "stopwatch.h"

namespace jpegrt {
namespace {

template <typename Pixel>
void InksFromLight(const Pixel* rgb, const Pixel* grey, size_t count, Pixel* inks) {
  for (size_t x = 0; x < count; ++x) {
    for (int c = 0; c < 3; ++c) inks[4 * x + c] = rgb[3 * x + c];
    inks[4 * x + 3] = grey[x];
  }
  Invert(inks, 4 * count);
}

}  // namespace

void PixelPipeline::Restore(const PixelView& image, const Area& seen, const Area& kept,
                            Engine* engine, const Destination& to, jpegrt_timings* timings) {
  PixelView view = image;
  view.data += seen.y.first * image.row_stride + size_t{seen.x.first} * image.pixel_stride;
  view.width = seen.x.size();
  view.height = seen.y.size();
  Restore(view, kept.In(seen), engine, to, timings);
}

void PixelPipeline::Restore(const CodedImage& image, const Area& seen, const Area& kept,
                            Engine* engine, const Destination& to, jpegrt_timings* timings) {
  if (image.components == 4) return RestoreInks(image, seen, kept.In(seen), engine, to, timings);
  Restore(Decoded(image, seen, timings), kept.In(seen), engine, to, timings);
}

void PixelPipeline::RestoreInks(const CodedImage& image, const Area& seen, const Area& kept,
                                Engine* engine, const Destination& to, jpegrt_timings* timings) {
  CodedImage light = image;
  light.inverted = !image.inverted;
  PixelView colour = Decoded(light, seen, timings), key = colour;
  colour.colour = JPEGRT_COLOUR_RGB;
  key.colour = JPEGRT_COLOUR_GREY;
  key.data += 3;

  const uint32_t width = enlargement() * kept.x.size(), height = enlargement() * kept.y.size();
  const size_t key_row = width * to.SampleSize(), colour_row = 3 * key_row;
  uint8_t* const restored_colour = inks_.Reserve((colour_row + key_row) * height);
  uint8_t* const restored_key = restored_colour + colour_row * height;
  Restore(colour, kept, engine, {restored_colour, colour_row, to.dtype, false, nullptr}, timings);
  Restore(key, kept, engine, {restored_key, key_row, to.dtype, false, nullptr}, timings);
  Stopwatch stopwatch(&timings->pixels_ms);
  const size_t count = size_t{width};
  for (uint32_t y = 0; y < height; ++y) {
    const uint8_t* const rgb = restored_colour + y * colour_row;
    const uint8_t* const grey = restored_key + y * key_row;
    void* const row = to.From(y, 0, 4).pixels;
    if (to.dtype == JPEGRT_UINT8)
      InksFromLight(rgb, grey, count, static_cast<uint8_t*>(row));
    else
      InksFromLight(reinterpret_cast<const uint16_t*>(rgb), reinterpret_cast<const uint16_t*>(grey),
                    count, static_cast<uint16_t*>(row));
  }
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
  return {decoded, row, part.x.size(), part.y.size(), colour, image.components};
}

}  // namespace jpegrt
