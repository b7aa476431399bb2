// Arithmetic that the CPU and the CUDA twin of a kernel share is written once, in this folder, and
// compiled for both: what they have in common they cannot disagree about.
#pragma once

#if defined(__CUDACC__)
#define JPEGRT_SHARED __device__ __forceinline__
#else
#define JPEGRT_SHARED __attribute__((always_inline)) inline
#endif
