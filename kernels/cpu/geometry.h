// What follows from an image's size and sampling factors.
#pragma once

#include "jpegrt.h"

namespace jpegrt {

// Throws Error if the image has more pixels than the options allow.
void RefuseTooLarge(uint32_t width, uint32_t height, const jpegrt_read_options& options);

// Fills the components' sizes, in samples and in blocks, from width, height and the sampling
// factors, none of which may be 0. Throws Error if a component's sampling ratio is not whole.
void DeriveComponentSizes(jpegrt_image* image);

}  // namespace jpegrt
