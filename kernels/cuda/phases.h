// A kernel is written as phases: functions of a thread's index, which communicate only through the
// tile in shared memory. On the GPU all threads run a phase at once and wait for each other at its
// end; a test runs them one after another on the CPU, and so checks the very same code.
#pragma once

#include <cstdint>

#include "../shared/host_device.h"

#if defined(__CUDACC__)
#define JPEGRT_CONSTANT __constant__
#else
#define JPEGRT_CONSTANT static
#endif

namespace jpegrt::cuda {

constexpr uint32_t kThreads = 256;  // in a block
constexpr uint32_t kWarp = 32;

class Phases {
 public:
  // The next phase may read what any thread wrote.
  template <typename Phase>
  JPEGRT_SHARED void Block(const Phase& phase) const {
#if defined(__CUDACC__)
    phase(threadIdx.x);
    __syncthreads();
#else
    for (uint32_t thread = 0; thread < kThreads; ++thread) phase(thread);
#endif
  }

  // The next phase reads only what its own warp wrote.
  template <typename Phase>
  JPEGRT_SHARED void Warp(const Phase& phase) const {
#if defined(__CUDACC__)
    phase(threadIdx.x);
    __syncwarp();
#else
    Block(phase);
#endif
  }
};

// Replaces counts[0..31] by the sums of those before each, and counts[32] by the sum of all. For
// the 32 threads of the first warp, in a phase of their own.
JPEGRT_SHARED void SumsBefore(uint32_t counts[kWarp + 1], uint32_t lane) {
#if defined(__CUDACC__)
  const uint32_t count = counts[lane];
  uint32_t sum = count;
#pragma unroll
  for (uint32_t distance = 1; distance < kWarp; distance *= 2) {
    const uint32_t before = __shfl_up_sync(0xffffffff, sum, distance);
    if (lane >= distance) sum += before;
  }
  counts[lane] = sum - count;
  if (lane == kWarp - 1) counts[kWarp] = sum;
#else
  if (lane != kWarp - 1) return;
  uint32_t sum = 0;
  for (uint32_t i = 0; i <= kWarp; ++i) {
    const uint32_t count = i < kWarp ? counts[i] : 0;
    counts[i] = sum;
    sum += count;
  }
#endif
}

JPEGRT_SHARED uint32_t BitsSet(uint64_t bits) {
#if defined(__CUDACC__)
  return static_cast<uint32_t>(__popcll(bits));
#else
  return static_cast<uint32_t>(__builtin_popcountll(bits));
#endif
}

// 16 bytes at an address that is a multiple of 16.
struct alignas(16) Words4 {
  uint32_t words[4];
};

// Of memory that no thread of the kernel writes.
JPEGRT_SHARED Words4 LoadConstantWords(const void* from) {
#if defined(__CUDACC__)
  const uint4 words = __ldg(static_cast<const uint4*>(from));
  return {{words.x, words.y, words.z, words.w}};
#else
  return *static_cast<const Words4*>(from);
#endif
}

JPEGRT_SHARED Words4 LoadWords(const void* from) {
#if defined(__CUDACC__)
  const uint4 words = *static_cast<const uint4*>(from);
  return {{words.x, words.y, words.z, words.w}};
#else
  return *static_cast<const Words4*>(from);
#endif
}

JPEGRT_SHARED void StoreWords(const Words4& words, void* to) {
#if defined(__CUDACC__)
  *static_cast<uint4*>(to) =
      make_uint4(words.words[0], words.words[1], words.words[2], words.words[3]);
#else
  *static_cast<Words4*>(to) = words;
#endif
}

}  // namespace jpegrt::cuda
