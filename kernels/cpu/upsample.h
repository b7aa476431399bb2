// Chroma upsampling as libjpeg does it ("fancy", a triangle filter, for factors of two; replication
// for the rest), bit for bit.
#pragma once

#include <cstddef>
#include <cstdint>

namespace jpegrt {

struct SampleView {
  const uint8_t* data;
  size_t pitch;
  uint32_t width, height;  // samples that belong to the image; the filter does not look beyond them
};

// Row `y` of the upsampled plane: width * h samples, for 0 <= y < height * v.
void UpsampleRow(const SampleView& in, uint32_t h, uint32_t v, uint32_t y, uint8_t* out);

}  // namespace jpegrt
