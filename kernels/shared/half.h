// IEEE 754 binary16, as bits.
#pragma once

#include <cstdint>
#include <cstring>

#include "host_device.h"

#if defined(__CUDACC__)
#include <cuda_fp16.h>
#endif

namespace jpegrt {

struct Half {
  uint16_t bits;
};

// Rounds to the nearest, ties to even; beyond 65504 + 16 it is infinite.
JPEGRT_SHARED Half HalfFromFloat(float value) {
#if defined(__CUDA_ARCH__)
  return {__half_as_ushort(__float2half_rn(value))};
#else
  uint32_t word;
  std::memcpy(&word, &value, sizeof word);
  const uint16_t sign = static_cast<uint16_t>(word >> 16 & 0x8000);
  word &= 0x7fffffff;
  if (word > 0x7f800000) return {static_cast<uint16_t>(sign | 0x7fff)};   // NaN
  if (word >= 0x477ff000) return {static_cast<uint16_t>(sign | 0x7c00)};  // rounds to infinity
  // Below 2^-14 the last bit kept is worth 2^-24, above it 2^-10 of the leading one's.
  const uint32_t exponent = word >> 23;
  const uint32_t dropped = exponent >= 113 ? 13 : 126 - exponent;
  if (dropped > 24) return {sign};
  const uint32_t mantissa = exponent >= 113 ? word - (112u << 23) : (word & 0x7fffff) | 0x800000;
  const uint32_t kept = mantissa >> dropped, rest = mantissa & ((1u << dropped) - 1);
  const uint32_t half = 1u << (dropped - 1);
  const bool up = rest > half || (rest == half && (kept & 1));
  return {static_cast<uint16_t>(sign | (kept + up))};
#endif
}

JPEGRT_SHARED float FloatFromHalf(Half value) {
#if defined(__CUDA_ARCH__)
  return __half2float(__ushort_as_half(value.bits));
#else
  const uint32_t sign = static_cast<uint32_t>(value.bits & 0x8000) << 16;
  const uint32_t exponent = value.bits >> 10 & 31, mantissa = value.bits & 0x3ff;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return sign ? -magnitude : magnitude;
  }
  const uint32_t word =
      sign | (exponent == 31 ? 0x7f800000 : (exponent + 112) << 23) | mantissa << 13;
  float result;
  std::memcpy(&result, &word, sizeof result);
  return result;
#endif
}

JPEGRT_SHARED float FloatFrom(float value) { return value; }
JPEGRT_SHARED float FloatFrom(Half value) { return FloatFromHalf(value); }

}  // namespace jpegrt
