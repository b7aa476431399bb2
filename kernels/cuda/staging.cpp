#include "staging.h"

#include <utility>

namespace jpegrt::cuda {

Staging::Staging(std::shared_ptr<const Context> context) : context_(std::move(context)) {}

Staging::~Staging() {
  const Context::Entered entered(*context_);
  if (!entered) return;
  const Driver& driver = context_->driver();
  for (const Piece& piece : pieces_) {
    if (piece.is_awaited) driver.cuEventSynchronize(piece.read);
    if (piece.read) driver.cuEventDestroy(piece.read);
    if (piece.data) driver.cuMemFreeHost(piece.data);
  }
}

uint8_t* Staging::Next(size_t size) {
  const Context::Current current(*context_);
  current_ = 1 - current_;
  Piece* const piece = &pieces_[current_];
  Wait(piece);
  Reserve(piece, size);
  return static_cast<uint8_t*>(piece->data);
}

void Staging::CopyTo(uint8_t* device, size_t size, void* stream) {
  const Context::Current current(*context_);
  const Driver& driver = context_->driver();
  const auto on = static_cast<StreamHandle>(stream);
  Piece* const piece = &pieces_[current_];
  // The one event then stands for an earlier copy too, which may be on another stream.
  if (piece->is_awaited)
    driver.Check(driver.cuStreamWaitEvent(on, piece->read, 0), "cuStreamWaitEvent");
  driver.Check(
      driver.cuMemcpyHtoDAsync(reinterpret_cast<DevicePointer>(device), piece->data, size, on),
      "cuMemcpyHtoDAsync");
  if (const Result result = driver.cuEventRecord(piece->read, on)) {
    driver.cuStreamSynchronize(on);  // or the copy would be forgotten
    driver.Check(result, "cuEventRecord");
  }
  piece->is_awaited = true;
}

void Staging::Wait(Piece* piece) const {
  const Driver& driver = context_->driver();
  if (!piece->is_awaited) return;
  driver.Check(driver.cuEventSynchronize(piece->read), "cuEventSynchronize");
  piece->is_awaited = false;
}

// Page-locking is slow: half more than is needed serves images that are a little larger.
void Staging::Reserve(Piece* piece, size_t size) const {
  const Driver& driver = context_->driver();
  if (!piece->read)
    driver.Check(driver.cuEventCreate(&piece->read, kEventWithoutTiming), "cuEventCreate");
  if (size <= piece->capacity) return;
  if (piece->data) driver.cuMemFreeHost(std::exchange(piece->data, nullptr));
  piece->capacity = 0;
  const size_t capacity = size + size / 2;
  driver.Check(driver.cuMemHostAlloc(&piece->data, capacity, kHostMemoryPortable),
               "cuMemHostAlloc");
  piece->capacity = capacity;
}

}  // namespace jpegrt::cuda
