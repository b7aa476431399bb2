// The driver's functions as kernels/cuda/driver.h declares them are those of cuda.h: compiled,
// never run. Pointers to opaque structs and enums are passed alike, so those are compared by size.

#include <cuda.h>

#include <cstddef>
#include <tuple>
#include <type_traits>

#include "../../kernels/cuda/driver.h"

template <typename Ours, typename Theirs>
struct PassedAlike : std::bool_constant<sizeof(Ours) == sizeof(Theirs) &&
                                        std::is_pointer_v<Ours> == std::is_pointer_v<Theirs>> {};

template <typename Ours, typename Theirs>
struct Alike : std::false_type {};

template <typename Result, typename... Ours, typename TheirResult, typename... Theirs>
struct Alike<Result (*)(Ours...), TheirResult (*)(Theirs...)> {
  static constexpr bool value = [] {
    if constexpr (sizeof...(Ours) != sizeof...(Theirs))
      return false;
    else
      return PassedAlike<Result, TheirResult>::value && (PassedAlike<Ours, Theirs>::value && ...);
  }();
};

#define COMPARE(name, parameters)                                                      \
  static_assert(Alike<decltype(jpegrt::cuda::Driver::name), decltype(&::name)>::value, \
                #name " is declared otherwise in cuda.h");
// cuda.h's macros give the versions of the functions that are current, before # sees their names.
JPEGRT_CUDA_FUNCTIONS(COMPARE)

static_assert(jpegrt::cuda::kErrorNoDevice == CUDA_ERROR_NO_DEVICE);
static_assert(jpegrt::cuda::kAttributeComputeCapabilityMajor ==
              CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
static_assert(jpegrt::cuda::kAttributeComputeCapabilityMinor ==
              CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
static_assert(jpegrt::cuda::kAttributeMemoryPoolsSupported ==
              CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED);
static_assert(jpegrt::cuda::kMemoryTypeHost == CU_MEMORYTYPE_HOST);
static_assert(jpegrt::cuda::kMemoryTypeDevice == CU_MEMORYTYPE_DEVICE);
static_assert(jpegrt::cuda::kStreamNonBlocking == CU_STREAM_NON_BLOCKING);
static_assert(jpegrt::cuda::kEventWithoutTiming == CU_EVENT_DISABLE_TIMING);
static_assert(jpegrt::cuda::kHostMemoryPortable == CU_MEMHOSTALLOC_PORTABLE);

#define COMPARE_FIELD(ours, theirs)                                                      \
  static_assert(offsetof(jpegrt::cuda::Copy2d, ours) == offsetof(CUDA_MEMCPY2D, theirs), \
                #theirs " is declared otherwise in cuda.h");
COMPARE_FIELD(from.x_bytes, srcXInBytes)
COMPARE_FIELD(from.y, srcY)
COMPARE_FIELD(from.type, srcMemoryType)
COMPARE_FIELD(from.host, srcHost)
COMPARE_FIELD(from.device, srcDevice)
COMPARE_FIELD(from.array, srcArray)
COMPARE_FIELD(from.pitch, srcPitch)
COMPARE_FIELD(to.x_bytes, dstXInBytes)
COMPARE_FIELD(to.y, dstY)
COMPARE_FIELD(to.type, dstMemoryType)
COMPARE_FIELD(to.host, dstHost)
COMPARE_FIELD(to.device, dstDevice)
COMPARE_FIELD(to.array, dstArray)
COMPARE_FIELD(to.pitch, dstPitch)
COMPARE_FIELD(width_bytes, WidthInBytes)
COMPARE_FIELD(height, Height)
static_assert(sizeof(jpegrt::cuda::Copy2d) == sizeof(CUDA_MEMCPY2D));

int main() {}
