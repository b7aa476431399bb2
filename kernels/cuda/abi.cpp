// The CUDA section of the C ABI.

#include "../cpu/create_message.h"
#include "../cpu/guard.h"
#include "blocking_edges.h"
#include "handle.h"
#include "jpegrt.h"
#include "non_local.h"
#include "pixels.h"
#include "project.h"
#include "unpack.h"

namespace {

// Runs `body` with the handle's context.
template <typename Body>
jpegrt_status GuardAttached(jpegrt_cuda* cuda, bool valid, const Body& body) noexcept {
  if (!cuda || !valid) return jpegrt::Refuse(cuda);
  return jpegrt::Guard(&cuda->message, [&] { body(*jpegrt::cuda::AttachedContext(*cuda)); });
}

}  // namespace

jpegrt_status jpegrt_cuda_create(jpegrt_cuda** out) {
  if (out) *out = nullptr;
  return jpegrt::GuardCreate([&] {
    if (!out) jpegrt::ThrowInvalidArgument();
    *out = new jpegrt_cuda();
  });
}

void jpegrt_cuda_destroy(jpegrt_cuda* cuda) { delete cuda; }

const char* jpegrt_cuda_message(const jpegrt_cuda* cuda) {
  return cuda ? cuda->message.c_str() : "no handle";
}

jpegrt_status jpegrt_cuda_attach(jpegrt_cuda* cuda, int32_t device) {
  if (!cuda) return JPEGRT_ERR_INVALID_ARGUMENT;
  return jpegrt::Guard(&cuda->message, [&] {
    cuda->context.reset();
    cuda->context = std::make_shared<const jpegrt::cuda::Context>(device);
  });
}

jpegrt_status jpegrt_cuda_unpack(jpegrt_cuda* cuda, const jpegrt_unpacking* components,
                                 size_t n_components, jpegrt_layout layout, jpegrt_dtype dtype,
                                 float scale, void* stream) {
  return GuardAttached(cuda, components || !n_components, [&](const auto& context) {
    jpegrt::cuda::Unpack(context, components, n_components, layout, dtype, scale, stream);
  });
}

jpegrt_status jpegrt_cuda_project_cells(jpegrt_cuda* cuda, const jpegrt_projection* components,
                                        size_t n_components, jpegrt_dtype dtype, float scale,
                                        float slack, void* stream) {
  return GuardAttached(cuda, components || !n_components, [&](const auto& context) {
    jpegrt::cuda::ProjectCells(context, components, n_components, dtype, scale, slack, stream);
  });
}

jpegrt_status jpegrt_cuda_pixels_from_cells(jpegrt_cuda* cuda, const jpegrt_cell_image* images,
                                            size_t n_images, uint32_t cell_px,
                                            jpegrt_dtype cell_dtype, float scale,
                                            jpegrt_dtype pixel_dtype, void* stream) {
  return GuardAttached(cuda, images || !n_images, [&](const auto& context) {
    jpegrt::cuda::PixelsFromCells(context, images, n_images, cell_px, cell_dtype, scale,
                                  pixel_dtype, stream);
  });
}

uint64_t jpegrt_cuda_decode_scratch_bytes(const jpegrt_decoding* decodings, size_t n_decodings) {
  uint64_t bytes = 0;
  jpegrt::Guard(nullptr, [&] {
    if (decodings) bytes = jpegrt::cuda::DecodeScratchBytes(decodings, n_decodings);
  });
  return bytes;
}

jpegrt_status jpegrt_cuda_decode(jpegrt_cuda* cuda, const jpegrt_decoding* decodings,
                                 size_t n_decodings, void* scratch, void* stream) {
  return GuardAttached(cuda, decodings || !n_decodings, [&](const auto& context) {
    jpegrt::cuda::Decode(context, decodings, n_decodings, JPEGRT_UINT8,
                         static_cast<uint8_t*>(scratch), stream);
  });
}

uint64_t jpegrt_cuda_non_local_scratch_bytes(const jpegrt_non_local_options* options) {
  return options ? jpegrt::cuda::NonLocalScratchBytes(*options) : 0;
}

jpegrt_status jpegrt_cuda_non_local(jpegrt_cuda* cuda, const jpegrt_non_local_options* options,
                                    const void* guide, const void* value, const float* h,
                                    const uint8_t* keys, void* filtered, void* scratch,
                                    void* stream) {
  return GuardAttached(cuda, options, [&](const auto& context) {
    jpegrt::cuda::NonLocal(context, *options, guide, value, h, keys, filtered, scratch, stream);
  });
}

jpegrt_status jpegrt_cuda_find_blocking_edges(jpegrt_cuda* cuda,
                                              const jpegrt_blocking_edges_options* options,
                                              const void* value, jpegrt_dtype dtype, uint8_t* keys,
                                              void* stream) {
  return GuardAttached(cuda, options, [&](const auto& context) {
    jpegrt::cuda::FindBlockingEdges(context, *options, value, dtype, keys, stream);
  });
}
