// The pipeline's steps on a CUDA device: packed coefficients go there, and everything after that is
// enqueued.
#pragma once

#include <memory>
#include <optional>

#include "../cpu/buffer.h"
#include "../cpu/coefficients.h"
#include "../cpu/pack.h"
#include "../cuda/context.h"
#include "../cuda/staging.h"
#include "../cuda/stream.h"
#include "backend.h"

namespace jpegrt {

class CudaBackend final : public Backend {
 public:
  // Throws Error if options->cuda is not attached.
  explicit CudaBackend(const jpegrt_session_options& options);

  jpegrt_device device() const override { return JPEGRT_DEVICE_CUDA; }
  void OnDevice(const std::function<void()>& body) const override;
  jpegrt_image Read(const uint8_t* bytes, size_t size, const jpegrt_read_options& options) override;
  void Load(const jpegrt_image& image, jpegrt_timings* timings) override;
  Workspace Begin(const CodedImage& image, const Destination& to, size_t inputs,
                  size_t restored) override;
  void End() noexcept override { work_.reset(); }
  void Unpack(const CodedImage& image, const Grid& grid,
              const std::vector<ComponentCells>& components) override;
  void UnpackSpectrum(const CodedImage& image, uint32_t component, float scale,
                      float* spectrum) override;
  void WritePixels(const CodedImage& image, const Grid& grid, float* const restored[],
                   const Destination& to) override;
  // The image as a whole.
  void Decode(const CodedImage& image, const Area&, const Destination& to,
              jpegrt_timings* timings) override;

 private:
  using Memory = cuda::Context::Memory;

  // The image's coefficients in staging memory, and in the device's copy of it: each component's
  // packed stream, then all of their steps.
  struct Staged {
    size_t stream[JPEGRT_MAX_COMPONENTS];  // offsets in bytes
    size_t steps;
    size_t size;
    uint16_t tables[JPEGRT_MAX_COMPONENTS][64];
  };

  // Device memory of one restore, which goes back to the pool behind all that uses it.
  struct Work {
    Work(const cuda::Context& context, void* stream, size_t staged, size_t tensors, size_t pixels);
    void* stream;
    Memory staged;
    std::optional<Memory> tensors, pixels;  // none where their size is 0
  };

  void Stage(const jpegrt_image& image, const jpegrt_packed* packed);
  // One component of the image, from where it is on the device.
  jpegrt_unpacking Unpacking(const CodedImage& image, uint32_t component) const;
  void Upsample(const CodedImage& image, const Grid& grid, const ComponentCells& to) const;
  void Project(const CodedImage& image, const Grid& grid, float* const restored[]) const;
  // Where kernels write pixels: the caller's own memory, or our own for pixels on the host.
  uint8_t* Pixels(const Destination& to) const;
  size_t RowStride(const CodedImage& image, const Destination& to) const;
  // Waits for pixels that go to the host.
  void Deliver(const CodedImage& image, const Destination& to) const;

  const std::shared_ptr<const cuda::Context> context_;
  const cuda::Stream stream_;  // for pixels that go to the host
  const bool project_;
  const float slack_;
  Coefficients coefficients_;
  Packer packer_;
  Buffer<uint8_t> packed_[JPEGRT_MAX_COMPONENTS];
  cuda::Staging staging_;
  Staged staged_ = {};
  std::optional<Work> work_;
};

}  // namespace jpegrt
