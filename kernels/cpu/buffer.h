// Memory that grows and is kept from image to image; its content is whatever was there.
#pragma once

#include <cstddef>
#include <memory>

namespace jpegrt {

template <typename T>
class Buffer {
 public:
  T* Reserve(size_t count) {
    if (count > capacity_) {
      data_.reset();
      capacity_ = 0;
      data_.reset(new T[count]);
      capacity_ = count;
    }
    return data_.get();
  }

 private:
  std::unique_ptr<T[]> data_;
  size_t capacity_ = 0;
};

}  // namespace jpegrt
