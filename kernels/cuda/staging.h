// Host memory on its way to a device: page-locked, so that copying it does not hold up the host,
// and twice, so that one piece can be filled before the device has read the other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "context.h"

namespace jpegrt::cuda {

class Staging {
 public:
  explicit Staging(std::shared_ptr<const Context> context);
  ~Staging();  // waits until the device has read all of it
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  // A piece of `size` bytes to fill. Waits until the device has read what was in it, which was
  // staged two calls ago. Throws Error.
  uint8_t* Next(size_t size);

  // Enqueues a copy of the first `size` bytes of what Next returned last; any number of times, on
  // any streams. Throws Error.
  void CopyTo(uint8_t* device, size_t size, void* stream);

 private:
  struct Piece {
    void* data = nullptr;
    size_t capacity = 0;
    EventHandle read = nullptr;  // recorded behind the last copy
    bool is_awaited = false;     // that copy may not have been made yet
  };

  void Wait(Piece* piece) const;
  void Reserve(Piece* piece, size_t size) const;

  std::shared_ptr<const Context> context_;
  Piece pieces_[2];
  size_t current_ = 0;
};

}  // namespace jpegrt::cuda
