// The caller's engine, and the one call that a pipeline makes of it.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <string>
#include <vector>

#include "jpegrt.h"

namespace jpegrt {

// A float32 tensor of a graph.
jpegrt_tensor Tensor(const char* name, float* data, jpegrt_device device,
                     std::initializer_list<size_t> shape);

class Engine {
 public:
  explicit Engine(const jpegrt_engine& engine) : engine_(engine) {}

  // Throws Error with the engine's own message if it fails.
  void Run(const std::string& graph, const std::vector<jpegrt_tensor>& inputs,
           const std::vector<jpegrt_tensor>& outputs, void* stream);

  bool is_running() const { return is_running_; }

 private:
  const jpegrt_engine engine_;
  bool is_running_ = false;
};

}  // namespace jpegrt
