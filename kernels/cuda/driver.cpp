#include "driver.h"

#include <cstdlib>
#include <string>

#include "../cpu/error.h"

#if defined(_WIN32)
#include <windows.h>
#else
#include <dlfcn.h>
#endif

namespace jpegrt::cuda {
namespace {

// Functions are asked for as CUDA 12.0 has them, which is the oldest that our kernels load with.
constexpr int kApiVersion = 12000;

[[noreturn]] void ThrowNoDriver(const std::string& why) {
  throw Error(JPEGRT_ERR_NO_DEVICE, "no CUDA driver: " + why);
}

#if defined(_WIN32)
void* OpenLibrary() {
  const char* named = std::getenv("JPEGRT_CUDA_DRIVER");
  HMODULE library = LoadLibraryA(named ? named : "nvcuda.dll");
  if (!library) ThrowNoDriver("nvcuda.dll cannot be loaded");
  return library;
}

void* Find(void* library, const char* name) {
  return reinterpret_cast<void*>(GetProcAddress(static_cast<HMODULE>(library), name));
}
#else
void* OpenLibrary() {
  const char* named = std::getenv("JPEGRT_CUDA_DRIVER");
  void* library = dlopen(named ? named : "libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library) return library;
  const char* why = dlerror();
  ThrowNoDriver(why ? why : "libcuda.so.1 cannot be loaded");
}

void* Find(void* library, const char* name) { return dlsym(library, name); }
#endif

}  // namespace

void Driver::Close::operator()(void* library) const {
#if defined(_WIN32)
  FreeLibrary(static_cast<HMODULE>(library));
#else
  dlclose(library);
#endif
}

Driver::Driver() : library_(OpenLibrary()) {
  using GetProcAddressFunction =
      Result(const char* name, void** function, int version, uint64_t flags, int* found);
  const auto get =
      reinterpret_cast<GetProcAddressFunction*>(Find(library_.get(), "cuGetProcAddress_v2"));
  if (!get) ThrowNoDriver("the one installed is older than CUDA 12.0");
  const auto find = [&](const char* name) {
    void* function = nullptr;
    if (get(name, &function, kApiVersion, 0, nullptr) || !function)
      ThrowNoDriver(std::string("the one installed has no ") + name);
    return function;
  };
#define JPEGRT_FIND(name, parameters) name = reinterpret_cast<Result(*) parameters>(find(#name));
  JPEGRT_CUDA_FUNCTIONS(JPEGRT_FIND)
#undef JPEGRT_FIND
}

void Driver::Check(Result result, const char* call) const {
  if (!result) return;
  const char* text = nullptr;
  cuGetErrorString(result, &text);
  throw Error(result == kErrorNoDevice ? JPEGRT_ERR_NO_DEVICE : JPEGRT_ERR_CUDA,
              std::string(call) + ": " + (text ? text : "unknown error") + " (" +
                  std::to_string(result) + ")");
}

}  // namespace jpegrt::cuda
