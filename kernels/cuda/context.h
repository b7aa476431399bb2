// A CUDA context with our kernels loaded into it.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "driver.h"
#include "phases.h"

namespace jpegrt::cuda {

class Context {
 public:
  // The primary context of a device, or with JPEGRT_CUDA_CURRENT_CONTEXT the caller's current one.
  // Throws Error.
  explicit Context(int device);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  // Enqueues `blocks` thread blocks of kThreads; `arguments` is the kernel's one parameter, copied
  // before this returns.
  template <typename Arguments>
  void Launch(const char* kernel, uint32_t blocks, const Arguments& arguments, void* stream) const {
    LaunchRaw(kernel, blocks, kThreads, const_cast<Arguments*>(&arguments), stream);
  }

  const Driver& driver() const { return driver_; }

  // Makes a context the thread's current one as long as it lives, if that is possible: for
  // destructors, which have nothing to do in a context that is gone.
  class Entered {
   public:
    explicit Entered(const Context& context);
    ~Entered();
    Entered(const Entered&) = delete;
    Entered& operator=(const Entered&) = delete;
    explicit operator bool() const { return !result_; }

   protected:
    const Driver& driver_;
    const Result result_;
  };

  // The same where it has to be possible. Throws Error.
  class Current : private Entered {
   public:
    explicit Current(const Context& context);
  };

  // Memory of the device's stream-ordered pool: taken and given back when the stream gets there.
  class Memory {
   public:
    Memory(const Context& context, size_t size, void* stream);
    ~Memory();
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;
    uint8_t* data() const { return reinterpret_cast<uint8_t*>(pointer_); }

   private:
    const Context& context_;
    StreamHandle stream_;
    DevicePointer pointer_ = 0;
  };

 private:
  void LoadKernels();
  void Release();
  void LaunchRaw(const char* kernel, uint32_t blocks, uint32_t threads, void* arguments,
                 void* stream) const;

  Driver driver_;
  DeviceIndex device_ = 0;
  bool is_primary_ = false;
  bool has_pools_ = false;
  ContextHandle context_ = nullptr;
  std::vector<ModuleHandle> modules_;
  std::unordered_map<std::string, FunctionHandle> kernels_;
};

}  // namespace jpegrt::cuda
