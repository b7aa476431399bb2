// What a pipeline does on one kind of device, around the engine: coefficients into the network's
// cells or spectrum, and cells, or coefficients without a network, into pixels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "../cpu/unpack.h"
#include "coded_image.h"
#include "jpegrt.h"

namespace jpegrt {

// Where pixels go.
struct Destination {
  void* pixels;
  size_t row_stride;   // bytes
  jpegrt_dtype dtype;  // uint8 or uint16
  bool is_on_device;   // only with a backend of that device
  void* stream;        // for pixels there

  size_t SampleSize() const { return dtype == JPEGRT_UINT16 ? 2 : 1; }
  // With other pixels first: those in that row and column.
  Destination From(size_t row, size_t column, size_t channels) const {
    Destination moved = *this;
    moved.pixels =
        static_cast<uint8_t*>(pixels) + row * row_stride + column * channels * SampleSize();
    return moved;
  }
};

// Tensors in a workspace begin at multiples of so many floats, 256 bytes, which TensorRT asks for.
constexpr size_t kTensorAlignment = 64;

// What the engine reads and writes, on the backend's device, and when: behind `stream`.
struct Workspace {
  float* inputs;
  float* restored;
  float* steps;  // 64 of each component, one after another
  void* stream;
};

// One component's cells in a grid; `cell` is as many of its samples as fill one of luma's.
struct ComponentCells {
  uint32_t component;
  CellSize cell;
  CellSize sampling;  // pixels per sample that such cells are for; others are upsampled first
  float* cells;
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual jpegrt_device device() const = 0;
  // Calls `body`, which is not ours, with the device as the thread's current one.
  virtual void OnDevice(const std::function<void()>& body) const = 0;

  // Entropy-decodes the image that all calls up to the next one of these two are about.
  virtual jpegrt_image Read(const uint8_t* bytes, size_t size,
                            const jpegrt_read_options& options) = 0;
  // Takes one whose coefficients are the caller's.
  virtual void Load(const jpegrt_image& image, jpegrt_timings* timings) = 0;

  // Memory for one restore, of so many floats each, until End. What throws leaves none.
  virtual Workspace Begin(const CodedImage& image, const Destination& to, size_t inputs,
                          size_t restored) = 0;
  virtual void End() noexcept = 0;

  // What lies beyond a component in its grid is filled with the nearest samples: the grid is padded
  // to whole MCUs, and what encoders leave in the blocks there is of no use to a network.
  virtual void Unpack(const CodedImage& image, const Grid& grid,
                      const std::vector<ComponentCells>& components) = 0;
  // One component's spectrum: 64 planes of its blocks, times `scale`.
  virtual void UnpackSpectrum(const CodedImage& image, uint32_t component, float scale,
                              float* spectrum) = 0;
  // Of each component's full-resolution cells, which it may change.
  virtual void WritePixels(const CodedImage& image, const Grid& grid, float* const restored[],
                           const Destination& to) = 0;
  // Pixels as libjpeg makes them; of a part of the image, where the backend can do parts.
  virtual void Decode(const CodedImage& image, const Area& part, const Destination& to,
                      jpegrt_timings* timings) = 0;
};

}  // namespace jpegrt
