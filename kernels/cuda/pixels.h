// Enqueues the kernels that write pixels.
#pragma once

#include "context.h"
#include "jpegrt.h"

namespace jpegrt::cuda {

// As the functions of jpegrt.h. They throw Error, before anything is enqueued if an argument is
// wrong.
void PixelsFromCells(const Context& context, const jpegrt_cell_image* images, size_t n_images,
                     uint32_t cell_px, jpegrt_dtype cell_dtype, float scale,
                     jpegrt_dtype pixel_dtype, void* stream);

uint64_t DecodeScratchBytes(const jpegrt_decoding* decodings, size_t n_decodings);
// Into pixels of either dtype; 257 is then one level of 8 bits.
void Decode(const Context& context, const jpegrt_decoding* decodings, size_t n_decodings,
            jpegrt_dtype pixel_dtype, uint8_t* scratch, void* stream);

}  // namespace jpegrt::cuda
