// The pipeline's steps on the CPU, in threads.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../cpu/buffer.h"
#include "../cpu/coefficients.h"
#include "../cpu/thread_pool.h"
#include "backend.h"

namespace jpegrt {

class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(const jpegrt_session_options& options);

  jpegrt_device device() const override { return JPEGRT_DEVICE_CPU; }
  void OnDevice(const std::function<void()>& body) const override { body(); }
  jpegrt_image Read(const uint8_t* bytes, size_t size, const jpegrt_read_options& options) override;
  void Load(const jpegrt_image&, jpegrt_timings*) override {}
  Workspace Begin(const CodedImage& image, const Destination& to, size_t inputs,
                  size_t restored) override;
  void End() noexcept override {}
  void Unpack(const CodedImage& image, const Grid& grid,
              const std::vector<ComponentCells>& components) override;
  void UnpackSpectrum(const CodedImage& image, uint32_t component, float scale,
                      float* spectrum) override;
  void WritePixels(const CodedImage& image, const Grid& grid, float* const restored[],
                   const Destination& to) override;
  void Decode(const CodedImage& image, const Area& part, const Destination& to,
              jpegrt_timings* timings) override;

  // Likewise, with samples taken for those of `colour`: RGB leaves Y, Cb and Cr as they are.
  void DecodeAs(jpegrt_colour colour, const CodedImage& image, const Area& part,
                const Destination& to, jpegrt_timings* timings);

  ThreadPool* threads() { return &threads_; }

 private:
  // Into `samples_`, of whole blocks; returns the first.
  const uint8_t* Samples(uint32_t component, const jpegrt_blocks& blocks);
  void Cells(const CodedImage& image, const Grid& grid, const ComponentCells& to);
  void UpsampledCells(const CodedImage& image, const Grid& grid, const ComponentCells& to);
  void Project(const CodedImage& image, const Grid& grid, float* const restored[]);
  template <typename Pixel>
  void DecodeInto(Pixel* pixels, size_t row_stride, jpegrt_colour colour, const CodedImage& image,
                  const Area& part, jpegrt_timings* timings);
  template <typename Pixel>
  void WriteInto(Pixel* pixels, size_t row_stride, const CodedImage& image, const Grid& grid,
                 float* const restored[]);

  const bool project_;
  const float slack_;
  Coefficients coefficients_;
  ThreadPool threads_;
  Buffer<uint8_t> samples_[JPEGRT_MAX_COMPONENTS];
  Buffer<float> inputs_, restored_;
  float steps_[JPEGRT_MAX_COMPONENTS * 64];
};

}  // namespace jpegrt
