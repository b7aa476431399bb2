// A CUDA stream of the library's own.
#pragma once

#include <memory>

#include "context.h"

namespace jpegrt::cuda {

struct Rows {
  uint8_t* data;
  size_t stride;  // bytes
};

class Stream {
 public:
  // It waits for no other stream. Throws Error.
  explicit Stream(std::shared_ptr<const Context> context);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  void* handle() const { return stream_; }

  // Enqueues a copy from the device to the host, and waits for it and all before it. Throws Error.
  void Download(Rows from, Rows to, size_t row_bytes, size_t height) const;

 private:
  std::shared_ptr<const Context> context_;
  StreamHandle stream_ = nullptr;
};

}  // namespace jpegrt::cuda
