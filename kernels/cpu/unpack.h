// Quantised blocks into the tensors that networks take, and into plain samples.
//
// Every function works on a range of block rows, first <= row < last, so that threads can share
// an image. `pitch` is the width, in elements, of one row of an output plane, and `plane` the
// elements from one plane to the next.
#pragma once

#include <cstddef>
#include <cstdint>

#include "jpegrt.h"

namespace jpegrt {

struct RowRange {
  uint32_t first, last;
};

// Samples that share a cell, across and down: 1, 2, 4 or 8 each.
struct CellSize {
  uint32_t width, height;
};

void SpectrumFromBlocks(const jpegrt_blocks& blocks, RowRange rows, float scale, float* spectrum,
                        size_t pitch, size_t plane);

void CoefficientPlaneFromBlocks(const jpegrt_blocks& blocks, RowRange rows, float scale,
                                float* plane, size_t pitch);

void CellsFromBlocks(const jpegrt_blocks& blocks, RowRange rows, CellSize cell, float scale,
                     float* cells, size_t pitch, size_t plane);

void SamplesFromBlocks(const jpegrt_blocks& blocks, RowRange rows, uint8_t* samples, size_t pitch);

}  // namespace jpegrt
