#include "options.h"

#include <cstddef>
#include <cstring>

#include "../cpu/error.h"

namespace jpegrt {
namespace {

[[noreturn]] void RefuseSize() {
  throw Error(JPEGRT_ERR_INVALID_ARGUMENT, "a struct_size is that of another version of jpegrt.h");
}

}  // namespace

jpegrt_session_options CompleteOptions(const jpegrt_session_options* options) {
  jpegrt_session_options complete = {};
  complete.struct_size = sizeof complete;
  complete.read.struct_size = sizeof complete.read;
  if (!options) return complete;
  const size_t size = options->struct_size;
  const bool is_known = size == sizeof complete || size == offsetof(jpegrt_session_options, cuda) ||
                        size == offsetof(jpegrt_session_options, tile_px);
  if (is_known) std::memcpy(&complete, options, size);
  if (!is_known || complete.read.struct_size != sizeof complete.read) RefuseSize();
  return complete;
}

jpegrt_model CompleteModel(const jpegrt_model& model) {
  jpegrt_model complete = {};
  const size_t size = model.struct_size;
  if (size != sizeof complete && size != offsetof(jpegrt_model, receptive_field_px)) RefuseSize();
  std::memcpy(&complete, &model, size);
  return complete;
}

}  // namespace jpegrt
