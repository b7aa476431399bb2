// The 8x8 inverse DCT (JPEG, ITU-T T.81, A.3.3) in float32.
#pragma once

#include <cstdint>

#include "../shared/dct.h"
#include "simd.h"

namespace jpegrt {

// Dequantised rows[v] lane u -> rows[y] lane x, centred samples times 8.
JPEGRT_INLINE void InverseDct(Float8 rows[8]) {
  InverseDct1d(rows);
  Transpose(rows);
  InverseDct1d(rows);
  Transpose(rows);
}

JPEGRT_INLINE void Dequantise(const int16_t block[64], const float steps[64], Float8 rows[8]) {
  const auto* coefficients = reinterpret_cast<const Short8*>(block);
  const auto* step = reinterpret_cast<const Float8*>(steps);
  for (int v = 0; v < 8; ++v) rows[v] = __builtin_convertvector(coefficients[v], Float8) * step[v];
}

}  // namespace jpegrt
