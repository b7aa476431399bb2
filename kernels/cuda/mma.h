// Products of 16x16 and 16x8 matrices by a warp, in float16 with float32 sums: mma.m16n8k16 of the
// PTX ISA, whose figures say which lane holds which element of a fragment.
#pragma once

#include "../shared/half.h"
#include "registers.h"

namespace jpegrt::cuda {

// Word j of lane 4 g + t holds row g + 8 (j % 2), columns 2 t + 8 (j / 2) and the next.
struct FragmentA {
  uint32_t words[4];
};

// Word j of lane 4 g + t holds rows 2 t + 8 j and the next, column g.
struct FragmentB {
  uint32_t words[2];
};

// Value i of a lane: row and column of the 16x8 product.
struct Accumulator {
  float values[4];
};
JPEGRT_SHARED uint32_t AccumulatorRow(uint32_t lane, uint32_t i) { return lane / 4 + 8 * (i / 2); }
JPEGRT_SHARED uint32_t AccumulatorColumn(uint32_t lane, uint32_t i) {
  return 2 * (lane % 4) + i % 2;
}

JPEGRT_SHARED uint32_t PairOfHalves(Half low, Half high) {
  return low.bits | static_cast<uint32_t>(high.bits) << 16;
}

// Of the matrix whose column n begins at columns + n * stride, which lies at a multiple of 4 bytes.
JPEGRT_SHARED FragmentB LoadFragmentB(const Half* columns, uint32_t stride, uint32_t lane) {
  const Half* const pair = columns + (lane / 4) * stride + 2 * (lane % 4);
  FragmentB fragment;
  for (int j = 0; j < 2; ++j)
    memcpy(&fragment.words[j], __builtin_assume_aligned(pair + 8 * j, 4), 4);
  return fragment;
}

// Two accumulators beside each other as the left factor of another product; `convert` makes halves
// of their values. Their fragments have the same elements in the same lanes.
template <typename Convert>
JPEGRT_SHARED FragmentA FragmentOf(const Accumulator& left, const Accumulator& right,
                                   const Convert& convert) {
  const auto pair = [&](const Accumulator& from, int i) {
    return PairOfHalves(convert(from.values[i]), convert(from.values[i + 1]));
  };
  return {{pair(left, 0), pair(left, 2), pair(right, 0), pair(right, 2)}};
}

// sum += A B, where `a_of(thread)` is a thread's fragment of A. For all lanes of a warp, in a phase
// in which none changes what a_of reads.
template <typename FragmentOfThread>
JPEGRT_SHARED void MultiplyAdd(uint32_t thread, const FragmentOfThread& a_of, const Half* b_columns,
                               uint32_t b_stride, Accumulator& sum) {
#if defined(__CUDA_ARCH__)
  const FragmentA a = a_of(thread);
  const FragmentB b = LoadFragmentB(b_columns, b_stride, thread % kWarp);
  // Volatile, so that it stays where all lanes are.
#if __CUDA_ARCH__ >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(sum.values[0]), "+f"(sum.values[1]), "+f"(sum.values[2]), "+f"(sum.values[3])
      : "r"(a.words[0]), "r"(a.words[1]), "r"(a.words[2]), "r"(a.words[3]), "r"(b.words[0]),
        "r"(b.words[1]));
#else
  for (int half = 0; half < 2; ++half)
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, "
        "{%0, %1, %2, %3};"
        : "+f"(sum.values[0]), "+f"(sum.values[1]), "+f"(sum.values[2]), "+f"(sum.values[3])
        : "r"(a.words[2 * half]), "r"(a.words[2 * half + 1]), "r"(b.words[half]));
#endif
#elif !defined(__CUDACC__)
  const auto half_of = [](uint32_t word, uint32_t index) {
    return FloatFromHalf({static_cast<uint16_t>(word >> (16 * (index % 2)))});
  };
  const uint32_t lane = thread % kWarp, warp = thread - lane;
  for (uint32_t i = 0; i < 4; ++i) {
    const uint32_t row = AccumulatorRow(lane, i), column = AccumulatorColumn(lane, i);
    for (uint32_t pair = 0; pair < 4; ++pair) {
      const FragmentA a = a_of(warp + 4 * (row % 8) + pair);
      const FragmentB b = LoadFragmentB(b_columns, b_stride, 4 * column + pair);
      for (uint32_t k = 0; k < 4; ++k)
        sum.values[i] += half_of(a.words[row / 8 + 2 * (k / 2)], k) * half_of(b.words[k / 2], k);
    }
  }
#endif
}

}  // namespace jpegrt::cuda
