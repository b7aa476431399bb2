// A network that is unfolded (CISR, equation 7): two modules, each around the non-local operator,
// make the low-resolution and the enlarged image of each other, several times in turn.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "../cpu/buffer.h"
#include "../cpu/thread_pool.h"
#include "engine.h"
#include "jpegrt.h"

namespace jpegrt {

class Unfolding {
 public:
  // operator_threads: as in jpegrt_non_local_options. Throws Error.
  Unfolding(const jpegrt_model& model, uint32_t operator_threads);

  // From `image`, 3 planes of rows x columns, to `high`, 3 planes that are `enlargement` times as
  // wide and as high. Throws Error, also if the image is too large for the operator.
  void Run(const float* image, size_t rows, size_t columns, ThreadPool* threads, Engine* engine,
           float* high);

 private:
  // One image on its way.
  struct Tensors {
    jpegrt_tensor image, high, low, guide, width, filtered;
  };

  Tensors TensorsFor(const float* image, size_t rows, size_t columns, float* high);
  void RefuseTooLarge(size_t rows, size_t columns) const;
  void Enlarge(const Tensors& tensors, ThreadPool* threads) const;
  void FindKeys(const Tensors& tensors);
  void Filter(const Tensors& tensors, const jpegrt_tensor& guide) const;

  const uint32_t enlargement_, unfoldings_, window_px_, operator_threads_;
  const float scale_;
  Buffer<float> low_, guide_, width_, filtered_;
  Buffer<uint8_t> keys_storage_;
  const uint8_t* keys_ = nullptr;  // of the image at hand
};

// Null for a model that is not unfolded. Throws Error for one that no session can be made of.
std::unique_ptr<Unfolding> UnfoldingFrom(const jpegrt_model& model, uint32_t operator_threads);

}  // namespace jpegrt
