// Engine module: engines that `jpegrt build` made, on TensorRT's C++ runtime API.
//
// Only headers are needed to build it: NvInferRuntime.h, and cuda_runtime_api.h for its types. The
// library is opened when an engine is. Its interfaces are tables of virtual functions, which differ
// from one major version to the next, so a module is of the version of its headers.

#include <NvInferRuntime.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <type_traits>
#include <vector>

#include "driver.h"
#include "engine_files.h"
#include "jpegrt.h"
#include "module.h"
#include "vendor_library.h"

namespace {

using jpegrt::Failure;
using jpegrt::cuda::Driver;

#define JPEGRT_TEXT_OF(number) #number
#define JPEGRT_TEXT(number) JPEGRT_TEXT_OF(number)

#ifdef TRT_MAJOR_RTX
constexpr char kVendor[] = "TensorRT for RTX", kStem[] = "libtensorrt_rtx";
constexpr char kVariable[] = "JPEGRT_TENSORRT_RTX";
#else
constexpr char kVendor[] = "TensorRT", kStem[] = "libnvinfer";
constexpr char kVariable[] = "JPEGRT_TENSORRT";
constexpr char kLeanLibrary[] = "libnvinfer_lean.so." JPEGRT_TEXT(NV_TENSORRT_MAJOR);
#endif

std::vector<std::string> DefaultLibraries() {
  std::vector<std::string> names = {kStem + (".so." + std::to_string(NV_TENSORRT_MAJOR))};
#ifndef TRT_MAJOR_RTX
  names.push_back(kLeanLibrary);
#endif
  return names;
}

// Keeps the first error since it was forgotten, which the others follow from. TensorRT logs from
// any thread.
class Log : public nvinfer1::ILogger {
 public:
  void log(Severity severity, const char* message) noexcept override {
    if (severity > Severity::kERROR) return;
    const std::lock_guard<std::mutex> lock(mutex_);
    if (error_.empty()) error_ = message;
  }

  bool has_error() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return !error_.empty();
  }
  void Forget() {
    const std::lock_guard<std::mutex> lock(mutex_);
    error_.clear();
  }

  // What `failed`, with the reason.
  Failure Explain(const std::string& failed) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const std::string why = jpegrt::OneLine(error_);
    return Failure(failed + ": " + (why.empty() ? std::string(kVendor) + " gave no reason" : why));
  }

 private:
  std::mutex mutex_;
  std::string error_;
};

// TensorRT's library and, from the first engine on, its runtime.
class Library {
 public:
  explicit Library(const char* asked)
      : library_(std::string(kVendor) + " " + std::to_string(NV_TENSORRT_MAJOR), kStem, asked,
                 kVariable, DefaultLibraries()) {
    create_ = library_.Find<void*(void*, int32_t)>("createInferRuntime_INTERNAL");
    if (!create_)
      throw Failure(library_.path() + " is not " + kVendor +
                    ": it exports no createInferRuntime_INTERNAL");
    int major = 0;
    for (const char* part : {"Major", "Minor", "Patch", "Build"}) {
      const auto get =
          library_.Find<int32_t()>(("getInferLib" + std::string(part) + "Version").c_str());
      if (!get)
        throw Failure(library_.path() + " is a " + kVendor + " that does not tell its version: " +
                      "install version " + std::to_string(NV_TENSORRT_MAJOR));
      if (version_.empty()) major = get();
      version_ += (version_.empty() ? "" : ".") + std::to_string(get());
    }
    if (major != NV_TENSORRT_MAJOR)
      throw Failure(library_.path() + " is " + name() + ", and this engine module was built for " +
                    std::to_string(NV_TENSORRT_MAJOR) +
                    ": install that, or build the module with the headers of " +
                    std::to_string(major));
  }

  const std::string& version() const { return version_; }
  // Whose engines it runs. The lean runtime is the one that builds none.
  const char* flavour() const {
#ifdef TRT_MAJOR_RTX
    return "rtx";
#else
    return library_.Find<void()>("createInferBuilder_INTERNAL") ? "tensorrt" : "lean";
#endif
  }
  std::string name() const { return std::string(kVendor) + " " + version_; }
  Log& log() { return log_; }

  // In the thread's current CUDA context. Throws Failure.
  std::unique_ptr<nvinfer1::ICudaEngine> Deserialise(const std::vector<uint8_t>& engine,
                                                     const std::string& path) {
    if (!runtime_) {
      void* const made = create_(&log_, NV_TENSORRT_VERSION);
      // Without a working driver the lean library's is not null, and nothing either.
      if (!made || log_.has_error()) throw log_.Explain(name() + " cannot start");
      runtime_.reset(static_cast<nvinfer1::IRuntime*>(made));
    }
    std::unique_ptr<nvinfer1::ICudaEngine> made(
        runtime_->deserializeCudaEngine(engine.data(), engine.size()));
    if (!made) throw log_.Explain(name() + " refuses " + path);
    return made;
  }

 private:
  const jpegrt::VendorLibrary library_;
  void* (*create_)(void*, int32_t) = nullptr;
  std::string version_;
  Log log_;
  std::unique_ptr<nvinfer1::IRuntime> runtime_;
};

// The GPU that is asked for.
class Device {
 public:
  // Throws Failure.
  explicit Device(uint32_t index) try {
    int count = 0;
    driver_.Check(driver_.cuInit(0), "cuInit");
    driver_.Check(driver_.cuDeviceGetCount(&count), "cuDeviceGetCount");
    if (index >= static_cast<uint32_t>(count))
      throw Failure("it has " + std::to_string(count) + ", counted from 0, and number " +
                    std::to_string(index) + " is asked for");
    driver_.Check(driver_.cuDeviceGet(&device_, static_cast<int>(index)), "cuDeviceGet");
    for (const int attribute : {jpegrt::cuda::kAttributeComputeCapabilityMajor,
                                jpegrt::cuda::kAttributeComputeCapabilityMinor}) {
      int value = 0;
      driver_.Check(driver_.cuDeviceGetAttribute(&value, attribute, device_),
                    "cuDeviceGetAttribute");
      target_ += std::to_string(value);
    }
  } catch (const std::runtime_error& error) {
    throw Failure(std::string(kVendor) + " finds no such GPU on this machine (" + error.what() +
                  "): install NVIDIA's driver and name a GPU that is there, or open the engine "
                  "module onnxruntime, which runs on the CPU");
  }

  const Driver& driver() const { return driver_; }
  const std::string& target() const { return target_; }  // as "sm86"

  bool IsCurrent() const {
    int current = -1;
    return !driver_.cuCtxGetDevice(&current) && current == device_;
  }

 private:
  const Driver driver_;
  int device_ = 0;
  std::string target_ = "sm";
};

// Memory of the device's stream-ordered pool: taken and given back when the stream gets there.
class Scratch {
 public:
  Scratch(const Driver& driver, size_t size, void* stream)
      : driver_(driver), stream_(static_cast<jpegrt::cuda::StreamHandle>(stream)) {
    if (size) driver_.Check(driver_.cuMemAllocAsync(&pointer_, size, stream_), "cuMemAllocAsync");
  }
  ~Scratch() {
    if (pointer_) driver_.cuMemFreeAsync(pointer_, stream_);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  void* data() const { return reinterpret_cast<void*>(pointer_); }

 private:
  const Driver& driver_;
  const jpegrt::cuda::StreamHandle stream_;
  jpegrt::cuda::DevicePointer pointer_ = 0;
};

nvinfer1::Dims DimsOf(const jpegrt_tensor& tensor) {
  nvinfer1::Dims dims = {};
  dims.nbDims = static_cast<int32_t>(tensor.rank);
  std::copy_n(tensor.shape, tensor.rank, dims.d);
  return dims;
}

std::string Text(const nvinfer1::Dims& dims) {
  std::string text;
  for (int32_t i = 0; i < dims.nbDims; ++i) text += (i ? "x" : "") + std::to_string(dims.d[i]);
  return text;
}

bool Equal(const nvinfer1::Dims& a, const nvinfer1::Dims& b) {
  return a.nbDims == b.nbDims && std::equal(a.d, a.d + std::max(a.nbDims, 0), b.d);
}

// An engine of one graph, with an execution context for each of its profiles that was needed:
// contexts do not share one, and changing a context's is not free.
class LoadedEngine {
 public:
  LoadedEngine(Library* library, const Device& device,
               std::unique_ptr<nvinfer1::ICudaEngine> engine, std::string path, std::string cure)
      : library_(library),
        driver_(device.driver()),
        engine_(std::move(engine)),
        path_(std::move(path)),
        cure_(std::move(cure)) {}

  // Enqueues it.
  void Run(const std::vector<jpegrt_tensor>& inputs, const std::vector<jpegrt_tensor>& outputs,
           void* stream) {
    RequireTensors(inputs, outputs);
    const auto on = static_cast<jpegrt::cuda::StreamHandle>(stream);
    const Context& context = ContextOf(ProfileFor(inputs), stream);
    nvinfer1::IExecutionContext& execution = *context.execution;
    // It is one for all streams, and they have no order.
    driver_.Check(driver_.cuStreamWaitEvent(on, context.done.get(), 0), "cuStreamWaitEvent");
    for (const jpegrt_tensor& tensor : inputs)
      Require(execution.setInputShape(tensor.name, DimsOf(tensor)), tensor.name);
    for (const auto* tensors : {&inputs, &outputs})
      for (const jpegrt_tensor& tensor : *tensors)
        Require(execution.setTensorAddress(tensor.name, tensor.data), tensor.name);
    for (const jpegrt_tensor& tensor : outputs) {
      const nvinfer1::Dims made = execution.getTensorShape(tensor.name);
      if (!Equal(made, DimsOf(tensor)))
        throw Failure(path_ + " makes a " + tensor.name + " of " + Text(made) +
                      ", and the model's is " + Text(DimsOf(tensor)) + "; " + cure_);
    }
    const size_t size = execution.updateDeviceMemorySizeForShapes();
    const Scratch scratch(driver_, size, stream);
    execution.setDeviceMemoryV2(scratch.data(), static_cast<int64_t>(size));
    Require(execution.enqueueV3(static_cast<cudaStream_t>(stream)), "run");
    driver_.Check(driver_.cuEventRecord(context.done.get(), on), "cuEventRecord");
  }

 private:
  // Its last work passes `done`, which is waited for before it is destroyed.
  struct Context {
    struct DestroyEvent {
      const Driver* driver;
      void operator()(jpegrt::cuda::EventHandle event) const {
        driver->cuEventSynchronize(event);
        driver->cuEventDestroy(event);
      }
    };
    std::unique_ptr<nvinfer1::IExecutionContext> execution;
    std::unique_ptr<std::remove_pointer_t<jpegrt::cuda::EventHandle>, DestroyEvent> done;
  };

  void Require(bool went_well, const char* what) const {
    if (!went_well)
      throw library_->log().Explain(library_->name() + " failed on " + path_ + " (" + what + ")");
  }

  // Both ways: every tensor of the engine is given, and every one that is given is the engine's.
  void RequireTensors(const std::vector<jpegrt_tensor>& inputs,
                      const std::vector<jpegrt_tensor>& outputs) const {
    const auto count = static_cast<size_t>(engine_->getNbIOTensors());
    bool are_its = count == inputs.size() + outputs.size();
    const auto check = [&](const jpegrt_tensor& tensor, nvinfer1::TensorIOMode mode) {
      are_its = are_its && engine_->getTensorIOMode(tensor.name) == mode &&
                engine_->getTensorDataType(tensor.name) == nvinfer1::DataType::kFLOAT;
    };
    for (const jpegrt_tensor& tensor : inputs) check(tensor, nvinfer1::TensorIOMode::kINPUT);
    for (const jpegrt_tensor& tensor : outputs) check(tensor, nvinfer1::TensorIOMode::kOUTPUT);
    if (!are_its) throw Failure(path_ + " has other tensors than the model's graph; " + cure_);
  }

  // The first profile that takes these shapes: `jpegrt build` lists them from the smallest.
  int32_t ProfileFor(const std::vector<jpegrt_tensor>& inputs) const {
    for (int32_t profile = 0; profile < engine_->getNbOptimizationProfiles(); ++profile)
      if (std::all_of(inputs.begin(), inputs.end(),
                      [&](const jpegrt_tensor& tensor) { return Takes(profile, tensor); }))
        return profile;
    throw Failure(path_ + " has no profile for a " + inputs.front().name + " of " +
                  Text(DimsOf(inputs.front())) + "; " + cure_ +
                  " with --min, --opt and --max around the image's size");
  }

  bool Takes(int32_t profile, const jpegrt_tensor& tensor) const {
    const auto least =
        engine_->getProfileShape(tensor.name, profile, nvinfer1::OptProfileSelector::kMIN);
    const auto largest =
        engine_->getProfileShape(tensor.name, profile, nvinfer1::OptProfileSelector::kMAX);
    if (least.nbDims != static_cast<int32_t>(tensor.rank) || largest.nbDims != least.nbDims)
      return false;
    for (uint32_t i = 0; i < tensor.rank; ++i)
      if (tensor.shape[i] < least.d[i] || tensor.shape[i] > largest.d[i]) return false;
    return true;
  }

  const Context& ContextOf(int32_t profile, void* stream) {
    const auto found = contexts_.find(profile);
    if (found != contexts_.end()) return found->second;
    Context context;
    // Its memory is the pool's, as much as each image needs; TensorRT would keep the most that any
    // needs.
    context.execution.reset(engine_->createExecutionContext(
        nvinfer1::ExecutionContextAllocationStrategy::kUSER_MANAGED));
    Require(context.execution != nullptr, "context");
    jpegrt::cuda::EventHandle event = nullptr;
    driver_.Check(driver_.cuEventCreate(&event, jpegrt::cuda::kEventWithoutTiming),
                  "cuEventCreate");
    context.done = {event, {&driver_}};
    Require(
        context.execution->setOptimizationProfileAsync(profile, static_cast<cudaStream_t>(stream)),
        "profile");
    driver_.Check(driver_.cuEventRecord(event, static_cast<jpegrt::cuda::StreamHandle>(stream)),
                  "cuEventRecord");
    return contexts_.emplace(profile, std::move(context)).first->second;
  }

  Library* const library_;
  const Driver& driver_;
  const std::unique_ptr<nvinfer1::ICudaEngine> engine_;
  const std::string path_, cure_;
  std::map<int32_t, Context> contexts_;
};

class Engine {
 public:
  explicit Engine(const jpegrt_engine_request& request)
      : library_(request.library),
        device_(request.device_index),
        files_(request, {library_.flavour(), library_.version(), device_.target()}) {
    if (request.provider && std::strcmp(request.provider, "TensorRT") != 0)
      throw Failure("unknown execution provider " + std::string(request.provider) +
                    ": this engine module has TensorRT only");
  }

  // Reads the inputs and writes the outputs where they are: enqueues that.
  void Run(const char* graph, const jpegrt_tensor* inputs, size_t n_inputs,
           const jpegrt_tensor* outputs, size_t n_outputs, void* stream) {
    const std::vector<jpegrt_tensor> in(inputs, inputs + n_inputs),
        out(outputs, outputs + n_outputs);
    for (const auto* tensors : {&in, &out})
      for (const jpegrt_tensor& tensor : *tensors) RequireTaken(tensor);
    if (!device_.IsCurrent())
      throw Failure(
          "the session is on another GPU than this engine: give both the same device index");
    library_.log().Forget();
    EngineOf(graph).Run(in, out, stream);
  }

 private:
  static void RequireTaken(const jpegrt_tensor& tensor) {
    if (tensor.device != JPEGRT_DEVICE_CUDA)
      throw Failure(
          "this engine runs on a GPU, and the session's tensors are on the CPU: "
          "make the session with cuda");
    if (tensor.dtype != JPEGRT_FLOAT32)
      throw Failure("this engine takes float32 tensors, and " + std::string(tensor.name) +
                    " is another");
  }

  // Engines are loaded when first run: the context that they are loaded into is there then.
  LoadedEngine& EngineOf(const std::string& graph) {
    const auto found = engines_.find(graph);
    if (found != engines_.end()) return found->second;
    const std::string path = files_.PathOf(graph).string();
    auto engine = library_.Deserialise(files_.Read(graph), path);
    return engines_
        .try_emplace(graph, &library_, device_, std::move(engine), path,
                     "run " + files_.BuildCommand())
        .first->second;
  }

  Library library_;  // before what it makes
  const Device device_;
  const jpegrt::EngineFiles files_;
  std::map<std::string, LoadedEngine> engines_;
};

}  // namespace

// Those that `jpegrt build` makes; it has them from a bundle that may list others.
extern "C" JPEGRT_API const char* const jpegrt_engine_module_precisions[] = {"fp16", "int8", "fp32",
                                                                             nullptr};

extern "C" JPEGRT_API jpegrt_status jpegrt_engine_module_open(const jpegrt_engine_request* request,
                                                              jpegrt_engine* engine, char* message,
                                                              size_t message_size) {
  return jpegrt::OpenEngine<Engine>(request, engine, message, message_size);
}
