// The part of the CUDA driver API that is used, opened at run time: a library that links libcuda
// loads on no machine without it. Declarations are ours, so that every build has them; a test
// compares them with cuda.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace jpegrt::cuda {

using Result = int;  // CUresult; 0 is success
using DeviceIndex = int;
using DevicePointer = unsigned long long;
using ContextHandle = struct CUctx_st*;
using ModuleHandle = struct CUmod_st*;
using FunctionHandle = struct CUfunc_st*;
using StreamHandle = struct CUstream_st*;
using EventHandle = struct CUevent_st*;

// CUDA_MEMCPY2D
struct CopyEnd {
  size_t x_bytes, y;
  int type;
  void* host;
  DevicePointer device;
  void* array;
  size_t pitch;
};
struct Copy2d {
  CopyEnd from, to;
  size_t width_bytes, height;
};

constexpr Result kErrorNoDevice = 100;
constexpr int kMemoryTypeHost = 1, kMemoryTypeDevice = 2;
constexpr unsigned kStreamNonBlocking = 1, kEventWithoutTiming = 2, kHostMemoryPortable = 1;
constexpr int kAttributeComputeCapabilityMajor = 75, kAttributeComputeCapabilityMinor = 76,
              kAttributeMemoryPoolsSupported = 115;

// name, parameters
#define JPEGRT_CUDA_FUNCTIONS(F)                                                                  \
  F(cuInit, (unsigned flags))                                                                     \
  F(cuDriverGetVersion, (int* version))                                                           \
  F(cuGetErrorString, (Result error, const char** text))                                          \
  F(cuDeviceGetCount, (int* count))                                                               \
  F(cuDeviceGet, (DeviceIndex * device, int ordinal))                                             \
  F(cuDeviceGetAttribute, (int* value, int attribute, DeviceIndex device))                        \
  F(cuDevicePrimaryCtxRetain, (ContextHandle * context, DeviceIndex device))                      \
  F(cuDevicePrimaryCtxRelease, (DeviceIndex device))                                              \
  F(cuCtxGetCurrent, (ContextHandle * context))                                                   \
  F(cuCtxGetDevice, (DeviceIndex * device))                                                       \
  F(cuCtxPushCurrent, (ContextHandle context))                                                    \
  F(cuCtxPopCurrent, (ContextHandle * context))                                                   \
  F(cuModuleLoadData, (ModuleHandle * module, const void* image))                                 \
  F(cuModuleUnload, (ModuleHandle module))                                                        \
  F(cuModuleGetFunction, (FunctionHandle * function, ModuleHandle module, const char* name))      \
  F(cuMemAllocAsync, (DevicePointer * pointer, size_t size, StreamHandle stream))                 \
  F(cuMemFreeAsync, (DevicePointer pointer, StreamHandle stream))                                 \
  F(cuMemHostAlloc, (void** pointer, size_t size, unsigned flags))                                \
  F(cuMemFreeHost, (void* pointer))                                                               \
  F(cuMemcpyHtoDAsync, (DevicePointer to, const void* from, size_t size, StreamHandle stream))    \
  F(cuMemcpy2DAsync, (const Copy2d* copy, StreamHandle stream))                                   \
  F(cuStreamCreate, (StreamHandle * stream, unsigned flags))                                      \
  F(cuStreamDestroy, (StreamHandle stream))                                                       \
  F(cuStreamSynchronize, (StreamHandle stream))                                                   \
  F(cuStreamWaitEvent, (StreamHandle stream, EventHandle event, unsigned flags))                  \
  F(cuEventCreate, (EventHandle * event, unsigned flags))                                         \
  F(cuEventDestroy, (EventHandle event))                                                          \
  F(cuEventRecord, (EventHandle event, StreamHandle stream))                                      \
  F(cuEventSynchronize, (EventHandle event))                                                      \
  F(cuLaunchKernel, (FunctionHandle function, unsigned grid_x, unsigned grid_y, unsigned grid_z,  \
                     unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes, \
                     StreamHandle stream, void** parameters, void** extra))

class Driver {
 public:
  // Opens libcuda.so.1, or what JPEGRT_CUDA_DRIVER names. Throws Error: "no CUDA driver: ...".
  Driver();

  // Throws Error with the driver's own text if `result` is not success.
  void Check(Result result, const char* call) const;

#define JPEGRT_DECLARE(name, parameters) Result(*name) parameters = nullptr;
  JPEGRT_CUDA_FUNCTIONS(JPEGRT_DECLARE)
#undef JPEGRT_DECLARE

 private:
  struct Close {
    void operator()(void* library) const;
  };
  std::unique_ptr<void, Close> library_;
};

}  // namespace jpegrt::cuda
