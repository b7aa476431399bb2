// The 8x8 forward DCT (JPEG, ITU-T T.81, A.3.3) in float32: the transpose of inverse_dct.h.
#pragma once

#include "../shared/dct.h"
#include "simd.h"

namespace jpegrt {

// Samples rows[y] lane x -> rows[v] lane u, coefficients times 8.
JPEGRT_INLINE void ForwardDct(Float8 rows[8]) {
  ForwardDct1d(rows);
  Transpose(rows);
  ForwardDct1d(rows);
  Transpose(rows);
}

}  // namespace jpegrt
