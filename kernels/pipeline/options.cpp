#include "options.h"

#include <cstddef>
#include <cstring>

#include "../cpu/error.h"

namespace jpegrt {

jpegrt_session_options CompleteOptions(const jpegrt_session_options* options) {
  jpegrt_session_options complete = {};
  complete.struct_size = sizeof complete;
  complete.read.struct_size = sizeof complete.read;
  if (!options) return complete;
  const size_t size = options->struct_size;
  const bool is_known = size == sizeof complete || size == offsetof(jpegrt_session_options, cuda);
  if (is_known) std::memcpy(&complete, options, size);
  if (!is_known || complete.read.struct_size != sizeof complete.read)
    throw Error(JPEGRT_ERR_INVALID_ARGUMENT,
                "a struct_size is that of another version of jpegrt.h");
  return complete;
}

}  // namespace jpegrt
