#include "context.h"

#include "../cpu/error.h"
#include "fat_binaries.h"

namespace jpegrt::cuda {

Context::Entered::Entered(const Context& context)
    : driver_(context.driver_), result_(driver_.cuCtxPushCurrent(context.context_)) {}

Context::Entered::~Entered() {
  ContextHandle popped;
  if (!result_) driver_.cuCtxPopCurrent(&popped);
}

Context::Current::Current(const Context& context) : Entered(context) {
  driver_.Check(result_, "cuCtxPushCurrent");
}

Context::Context(int device) {
  driver_.Check(driver_.cuInit(0), "no CUDA device: cuInit");
  if (FatBinaries().empty())
    throw Error(
        JPEGRT_ERR_NO_DEVICE,
        "built without CUDA kernels: nvcc 12.8 or newer was not found when jpegrt was built");
  if (device == JPEGRT_CUDA_CURRENT_CONTEXT) {
    driver_.Check(driver_.cuCtxGetCurrent(&context_), "cuCtxGetCurrent");
    if (!context_)
      throw Error(JPEGRT_ERR_INVALID_ARGUMENT, "the calling thread has no current CUDA context");
    driver_.Check(driver_.cuCtxGetDevice(&device_), "cuCtxGetDevice");
  } else {
    int count = 0;
    driver_.Check(driver_.cuDeviceGetCount(&count), "cuDeviceGetCount");
    if (device < 0 || device >= count)
      throw Error(JPEGRT_ERR_NO_DEVICE, "no CUDA device " + std::to_string(device) +
                                            ": there are " + std::to_string(count));
    driver_.Check(driver_.cuDeviceGet(&device_, device), "cuDeviceGet");
    driver_.Check(driver_.cuDevicePrimaryCtxRetain(&context_, device_), "cuDevicePrimaryCtxRetain");
    is_primary_ = true;
  }
  try {
    LoadKernels();
  } catch (...) {
    Release();
    throw;
  }
}

Context::~Context() { Release(); }

void Context::Release() {
  if (const Entered entered(*this); entered)
    for (ModuleHandle module : modules_) driver_.cuModuleUnload(module);
  if (is_primary_) driver_.cuDevicePrimaryCtxRelease(device_);
}

// Every kernel is looked up here, so that none is loaded, which may wait for the device, when it is
// first launched.
void Context::LoadKernels() {
  int has_pools = 0;
  driver_.Check(driver_.cuDeviceGetAttribute(&has_pools, kAttributeMemoryPoolsSupported, device_),
                "cuDeviceGetAttribute");
  has_pools_ = has_pools != 0;
  const Current current(*this);
  for (const FatBinary& binary : FatBinaries()) {
    ModuleHandle module = nullptr;
    if (const Result result = driver_.cuModuleLoadData(&module, binary.image)) {
      int version = 0, major = 0, minor = 0;
      driver_.cuDriverGetVersion(&version);
      driver_.cuDeviceGetAttribute(&major, kAttributeComputeCapabilityMajor, device_);
      driver_.cuDeviceGetAttribute(&minor, kAttributeComputeCapabilityMinor, device_);
      const std::string where = "the kernels do not load on compute capability " +
                                std::to_string(major) + "." + std::to_string(minor) +
                                " with a driver for CUDA " + std::to_string(version / 1000) + "." +
                                std::to_string(version % 1000 / 10);
      driver_.Check(result, where.c_str());
    }
    modules_.push_back(module);
    for (const char* kernel : binary.kernels)
      driver_.Check(driver_.cuModuleGetFunction(&kernels_[kernel], module, kernel), kernel);
  }
}

void Context::LaunchRaw(const char* kernel, uint32_t blocks, uint32_t threads, void* arguments,
                        void* stream) const {
  const Current current(*this);
  void* parameters[] = {arguments};
  driver_.Check(driver_.cuLaunchKernel(kernels_.at(kernel), blocks, 1, 1, threads, 1, 1, 0,
                                       static_cast<StreamHandle>(stream), parameters, nullptr),
                kernel);
}

Context::Memory::Memory(const Context& context, size_t size, void* stream)
    : context_(context), stream_(static_cast<StreamHandle>(stream)) {
  if (!context.has_pools_)
    throw Error(JPEGRT_ERR_UNSUPPORTED,
                "this device has no stream-ordered memory: hand in scratch memory");
  const Current current(context);
  const Driver& driver = context.driver_;
  driver.Check(driver.cuMemAllocAsync(&pointer_, size, stream_), "cuMemAllocAsync");
}

Context::Memory::~Memory() {
  if (const Entered entered(context_); entered) context_.driver_.cuMemFreeAsync(pointer_, stream_);
}

}  // namespace jpegrt::cuda
