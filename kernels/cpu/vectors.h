// Vectors of any number of lanes, for loops that are compiled once for each instruction set.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "simd.h"

// Bytes of the largest vectors to compile for: 64, or less to build without the larger variants.
#ifndef JPEGRT_LARGEST_VECTOR
#define JPEGRT_LARGEST_VECTOR 64
#endif

// JPEGRT_FOR_VARIANTS(F) is F(name, lanes, attribute) for each instruction set that there are
// vectors of: F defines functions whose names end in `name`, with that attribute, which call a
// template with so many lanes of float. JPEGRT_BEST_VARIANT(Function, <arguments>) is that of the
// processor. All variants give the same bits.
#if defined(__GNUC__) && defined(__x86_64__) && defined(__linux__) && JPEGRT_LARGEST_VECTOR >= 64
#define JPEGRT_FOR_VARIANTS(F)                      \
  F(Avx512, 16, __attribute__((target("avx512f")))) \
  F(Avx2, 8, __attribute__((target("avx2"))))       \
  F(Portable, 4, )
#define JPEGRT_BEST_VARIANT(Function, arguments)                   \
  (__builtin_cpu_supports("avx512f") ? &Function##Avx512 arguments \
   : __builtin_cpu_supports("avx2")  ? &Function##Avx2 arguments   \
                                     : &Function##Portable arguments)
#elif defined(__GNUC__) && defined(__x86_64__) && defined(__linux__) && JPEGRT_LARGEST_VECTOR >= 32
#define JPEGRT_FOR_VARIANTS(F)                \
  F(Avx2, 8, __attribute__((target("avx2")))) \
  F(Portable, 4, )
#define JPEGRT_BEST_VARIANT(Function, arguments) \
  (__builtin_cpu_supports("avx2") ? &Function##Avx2 arguments : &Function##Portable arguments)
#else
#define JPEGRT_FOR_VARIANTS(F) F(Portable, 4, )
#define JPEGRT_BEST_VARIANT(Function, arguments) (&Function##Portable arguments)
#endif

#define JPEGRT_INLINE_LAMBDA __attribute__((always_inline))

namespace jpegrt {

template <typename T, int kLanes>
struct VectorOf {
  typedef T type __attribute__((vector_size(sizeof(T) * kLanes)));
};
template <typename T, int kLanes>
using Vector = typename VectorOf<T, kLanes>::type;

// Loads from any address that is aligned for T.
template <int kLanes, typename T>
JPEGRT_INLINE Vector<T, kLanes> Load(const T* address) {
  Vector<T, kLanes> vector;
  std::memcpy(&vector, address, sizeof vector);
  return vector;
}

template <typename T, typename AnyVector>
JPEGRT_INLINE void Store(T* address, const AnyVector& vector) {
  static_assert(sizeof vector % sizeof(T) == 0, "whole elements");
  std::memcpy(address, &vector, sizeof vector);
}

// 2^t to 2e-7 of it for t <= 1, exactly 1 for t = 0, and 0 for t <= -64 and NaN: what is a product
// of it later must not be a subnormal number, which takes processors a hundred times as long.
template <int kLanes>
JPEGRT_INLINE Vector<float, kLanes> Exp2(Vector<float, kLanes> t) {
  using Float = Vector<float, kLanes>;
  using Int = Vector<int32_t, kLanes>;
  // Adding it leaves round(t) + 127, an exponent's bits, in the low bits of the sum.
  constexpr float kRounder = 12582912.0f + 127.0f;  // 1.5 * 2^23 + 127
  t = t > Float{} - 64.0f ? t : Float{} - 127.0f;   // whose exponent bits are 0
  const Float shifted = t + kRounder;
  const Float f = t - (shifted - kRounder);  // -0.5 ... 0.5
  Int bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  bits <<= 23;
  Float power;
  std::memcpy(&power, &bits, sizeof power);
  // Minimax in relative error (1.1e-7), with the constant term held at 1.
  Float p = 0.001326472731307149f * f + 0.009671512991189957f;
  p = p * f + 0.05550733581185341f;
  p = p * f + 0.24022242426872253f;
  p = p * f + 0.6931470036506653f;
  p = p * f + 1.0f;
  return p * power;
}

}  // namespace jpegrt
