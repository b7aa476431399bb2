// What threads keep in registers from one phase to the next, and what the lanes of a warp can tell
// each other of it. On the GPU a thread has its own; a test has everybody's.
#pragma once

#include "phases.h"

// Before a loop over registers, which have no addresses.
#if defined(__CUDACC__)
#define JPEGRT_UNROLL _Pragma("unroll")
#else
#define JPEGRT_UNROLL
#endif

namespace jpegrt::cuda {

template <typename T>
class Registers {
 public:
#if defined(__CUDACC__)
  JPEGRT_SHARED T& of(uint32_t) { return own_; }

 private:
  T own_;
#else
  T& of(uint32_t thread) { return all_[thread]; }

 private:
  T all_[kThreads];
#endif
};

JPEGRT_SHARED uint32_t LowestBit(uint32_t bits) {
#if defined(__CUDACC__)
  return static_cast<uint32_t>(__ffs(static_cast<int>(bits))) - 1;
#else
  return static_cast<uint32_t>(__builtin_ctz(bits));
#endif
}

// The largest of `value(thread)` among the four lanes that hold one row of an accumulator. In a
// phase in which no lane changes what `value` reads.
template <typename Value>
JPEGRT_SHARED float MaxOfQuad(uint32_t thread, const Value& value) {
#if defined(__CUDACC__)
  float largest = value(thread);
  largest = fmaxf(largest, __shfl_xor_sync(0xffffffff, largest, 1));
  return fmaxf(largest, __shfl_xor_sync(0xffffffff, largest, 2));
#else
  const uint32_t first = thread & ~3u;
  float largest = value(first);
  for (uint32_t lane = first + 1; lane < first + 4; ++lane)
    if (value(lane) > largest) largest = value(lane);
  return largest;
#endif
}

// Whether `is_so(thread)` of any lane of the warp, on the same terms.
template <typename Predicate>
JPEGRT_SHARED bool AnyOfWarp(uint32_t thread, const Predicate& is_so) {
#if defined(__CUDACC__)
  return __any_sync(0xffffffff, is_so(thread)) != 0;
#else
  const uint32_t first = thread - thread % kWarp;
  for (uint32_t lane = first; lane < first + kWarp; ++lane)
    if (is_so(lane)) return true;
  return false;
#endif
}

}  // namespace jpegrt::cuda
