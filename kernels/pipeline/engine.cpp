#include "engine.h"

#include <algorithm>

#include "../cpu/error.h"

namespace jpegrt {

jpegrt_tensor Tensor(const char* name, float* data, jpegrt_device device,
                     std::initializer_list<size_t> shape) {
  jpegrt_tensor tensor = {};
  tensor.name = name;
  tensor.data = data;
  tensor.dtype = JPEGRT_FLOAT32;
  tensor.device = device;
  tensor.rank = static_cast<uint32_t>(shape.size());
  std::transform(shape.begin(), shape.end(), tensor.shape,
                 [](size_t n) { return static_cast<int64_t>(n); });
  return tensor;
}

void Engine::Run(const std::string& graph, const std::vector<jpegrt_tensor>& inputs,
                 const std::vector<jpegrt_tensor>& outputs, void* stream) {
  // However the call ends: an engine in C++ may throw.
  struct Running {
    explicit Running(bool* is) : is_(is) { *is_ = true; }
    ~Running() { *is_ = false; }
    bool* const is_;
  } running(&is_running_);
  char message[1024] = "the engine failed without a message";
  const int failed = engine_.run(engine_.user, graph.c_str(), inputs.data(), inputs.size(),
                                 outputs.data(), outputs.size(), stream, message, sizeof message);
  message[sizeof message - 1] = 0;
  if (failed) throw Error(JPEGRT_ERR_ENGINE, message);
}

}  // namespace jpegrt
