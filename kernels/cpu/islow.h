// The 8x8 inverse DCT as libjpeg's default ("islow") computes it. Plain decoding uses it so that
// its samples equal those of any other decoder; what networks are given comes from the more exact
// inverse_dct.h.
#pragma once

#include <cstdint>

#include "../shared/dct.h"
#include "simd.h"

namespace jpegrt {

typedef uint32_t Word8 __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t Int32x8 __attribute__((vector_size(32), aligned(4), may_alias));

// Dequantised rows[v] lane u -> rows[y] lane x, samples that LevelFromIslow makes levels of.
JPEGRT_INLINE void IslowDct(Word8 rows[8]) {
  IslowDct1d<Int32x8>(rows, kIslowFirstShift);
  Transpose(rows);
  IslowDct1d<Int32x8>(rows, kIslowSecondShift);
  Transpose(rows);
}

}  // namespace jpegrt
