// The one exception of the native core; the C ABI turns it into a status and a message.
#pragma once

#include <stdexcept>
#include <string>

#include "jpegrt.h"

namespace jpegrt {

class Error : public std::runtime_error {
 public:
  Error(jpegrt_status status, const std::string& message)
      : std::runtime_error(message), status_(status) {}
  jpegrt_status status() const { return status_; }

 private:
  jpegrt_status status_;
};

}  // namespace jpegrt
