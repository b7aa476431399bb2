#include "stream.h"

#include <utility>

namespace jpegrt::cuda {

Stream::Stream(std::shared_ptr<const Context> context) : context_(std::move(context)) {
  const Context::Current current(*context_);
  const Driver& driver = context_->driver();
  driver.Check(driver.cuStreamCreate(&stream_, kStreamNonBlocking), "cuStreamCreate");
}

Stream::~Stream() {
  if (const Context::Entered entered(*context_); entered)
    context_->driver().cuStreamDestroy(stream_);
}

void Stream::Download(Rows from, Rows to, size_t row_bytes, size_t height) const {
  const Context::Current current(*context_);
  const Driver& driver = context_->driver();
  Copy2d copy = {};
  copy.from.type = kMemoryTypeDevice;
  copy.from.device = reinterpret_cast<DevicePointer>(from.data);
  copy.from.pitch = from.stride;
  copy.to.type = kMemoryTypeHost;
  copy.to.host = to.data;
  copy.to.pitch = to.stride;
  copy.width_bytes = row_bytes;
  copy.height = height;
  driver.Check(driver.cuMemcpy2DAsync(&copy, stream_), "cuMemcpy2DAsync");
  driver.Check(driver.cuStreamSynchronize(stream_), "cuStreamSynchronize");
}

}  // namespace jpegrt::cuda
