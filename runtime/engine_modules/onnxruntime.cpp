// Engine module: a bundle's graphs on ONNX Runtime, with the session options of
// runtime/jpegrt/runtime/engines/onnx_runtime.py, so that both give the same bytes.
//
// Only the header is needed to build it. libonnxruntime is opened when an engine is.

#include <onnxruntime_c_api.h>
#include <onnxruntime_run_options_config_keys.h>

#include <cstdio>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "jpegrt.h"
#include "module.h"
#include "vendor_library.h"

namespace {

// Of ONNX Runtime's minor version: the oldest that has every function used here and that the
// package jpegrt[cpu] accepts. Its table of functions is a beginning of every newer one's.
constexpr unsigned kApi = 20;
static_assert(kApi <= ORT_API_VERSION, "jpegrt needs the headers of ONNX Runtime 1.20 or newer");

constexpr char kVariable[] = "JPEGRT_ONNXRUNTIME";

constexpr char kStreamOption[] = "user_compute_stream";
void* const kDefaultStream = reinterpret_cast<void*>(1);  // CU_STREAM_LEGACY
#ifdef __APPLE__
constexpr const char* kDefaultLibraries[] = {"libonnxruntime.dylib"};
#else
constexpr const char* kDefaultLibraries[] = {"libonnxruntime.so.1", "libonnxruntime.so"};
#endif

using jpegrt::Failure;
using jpegrt::OneLine;

// libonnxruntime, and its table of functions.
class Library {
 public:
  explicit Library(const char* asked)
      : library_("ONNX Runtime", "libonnxruntime", asked, kVariable,
                 {std::begin(kDefaultLibraries), std::end(kDefaultLibraries)}) {
    const std::string& path = library_.path();
    auto* base = library_.Find<const OrtApiBase*()>("OrtGetApiBase");
    if (!base) throw Failure(path + " is not ONNX Runtime: it exports no OrtGetApiBase");
    const std::string version = base()->GetVersionString();
    // Asked first, because GetApi prints when it refuses.
    unsigned major = 0, minor = 0;
    const bool is_known = std::sscanf(version.c_str(), "%u.%u", &major, &minor) == 2;
    if (is_known && (major > 1 || minor >= kApi)) api_ = base()->GetApi(kApi);
    if (!api_)
      throw Failure(path + " is ONNX Runtime " + version + ", which is too old: install 1." +
                    std::to_string(kApi) + " or newer");
    name_ = "ONNX Runtime " + version + " (" + path + ")";
  }

  const OrtApi* operator->() const { return api_; }
  const std::string& name() const { return name_; }

  // Throws Failure if a call returned a status.
  void Check(OrtStatus* status, const std::string& otherwise) const {
    if (!status) return;
    const std::string why = OneLine(api_->GetErrorMessage(status));
    api_->ReleaseStatus(status);
    throw Failure(otherwise + ": " + why);
  }

 private:
  const jpegrt::VendorLibrary library_;
  std::string name_;
  const OrtApi* api_ = nullptr;
};

// One of ONNX Runtime's objects, with the function of its table that releases it.
template <typename T>
using Owned = std::unique_ptr<T, void (*)(T*)>;

class Engine {
 public:
  explicit Engine(const jpegrt_engine_request& request)
      : request_(request),
        provider_(request.provider ? request.provider : "CPU"),
        ort_(request.library) {
    const std::string otherwise = ort_.name() + " failed";
    OrtEnv* env = nullptr;
    ort_.Check(ort_->CreateEnv(ORT_LOGGING_LEVEL_FATAL, "jpegrt", &env), otherwise);
    env_ = {env, ort_->ReleaseEnv};
    OrtMemoryInfo* memory = nullptr;
    ort_.Check(ort_->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &memory),
               otherwise);
    host_memory_ = {memory, ort_->ReleaseMemoryInfo};
    const int device = static_cast<int>(request.device_index);
    ort_.Check(
        ort_->CreateMemoryInfo("Cuda", OrtDeviceAllocator, device, OrtMemTypeDefault, &memory),
        otherwise);
    device_memory_ = {memory, ort_->ReleaseMemoryInfo};
    OrtRunOptions* enqueuing = nullptr;
    ort_.Check(ort_->CreateRunOptions(&enqueuing), otherwise);
    enqueuing_ = {enqueuing, ort_->ReleaseRunOptions};
    ort_.Check(ort_->AddRunConfigEntry(
                   enqueuing, kOrtRunOptionsConfigDisableSynchronizeExecutionProviders, "1"),
               otherwise);
    if (provider_ != "CPU" && provider_ != "CUDA" && provider_ != "TensorRT")
      throw Failure("unknown execution provider " + provider_ + ": choose CPU, CUDA or TensorRT");
    if (provider_ != "CPU") RequireAvailable();
    Options(nullptr);  // what it refuses is refused now
  }

  // Reads the inputs and writes the outputs where they are; on a device it enqueues that.
  void Run(const char* graph, const jpegrt_tensor* inputs, size_t n_inputs,
           const jpegrt_tensor* outputs, size_t n_outputs, void* stream) {
    const bool on_device = n_inputs && inputs[0].device == JPEGRT_DEVICE_CUDA;
    if (on_device && provider_ == "CPU")
      throw Failure(
          "this engine runs on the CPU, and the session's tensors are on a GPU: "
          "open it with the provider CUDA or TensorRT, or make the session without cuda");
    // ONNX Runtime takes NULL for no stream at all, but has a name for the default one.
    if (on_device && !stream) stream = kDefaultStream;
    OrtSession* session = SessionOf(graph, on_device ? stream : nullptr);
    const std::string otherwise = "ONNX Runtime failed on graph " + std::string(graph);
    OrtIoBinding* created = nullptr;
    ort_.Check(ort_->CreateIoBinding(session, &created), otherwise);
    const Owned<OrtIoBinding> binding(created, ort_->ReleaseIoBinding);
    const OrtMemoryInfo* memory = (on_device ? device_memory_ : host_memory_).get();
    for (size_t i = 0; i < n_inputs; ++i)
      ort_.Check(ort_->BindInput(created, inputs[i].name, Value(inputs[i], memory).get()),
                 otherwise);
    for (size_t i = 0; i < n_outputs; ++i)
      ort_.Check(ort_->BindOutput(created, outputs[i].name, Value(outputs[i], memory).get()),
                 otherwise);
    ort_.Check(ort_->RunWithBinding(session, on_device ? enqueuing_.get() : nullptr, created),
               otherwise);
  }

 private:
  // A graph as it was loaded, and the stream that it runs on; null is ONNX Runtime's own.
  struct Loaded {
    Owned<OrtSession> session;
    void* stream;
  };

  // A tensor as ONNX Runtime's value, over the same memory.
  Owned<OrtValue> Value(const jpegrt_tensor& tensor, const OrtMemoryInfo* memory) const {
    if (tensor.dtype != JPEGRT_FLOAT32)
      throw Failure("this engine takes float32 tensors, and " + std::string(tensor.name) +
                    " is another");
    size_t bytes = sizeof(float);
    for (uint32_t d = 0; d < tensor.rank; ++d) bytes *= static_cast<size_t>(tensor.shape[d]);
    OrtValue* value = nullptr;
    ort_.Check(
        ort_->CreateTensorWithDataAsOrtValue(memory, tensor.data, bytes, tensor.shape, tensor.rank,
                                             ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &value),
        "ONNX Runtime refuses tensor " + std::string(tensor.name));
    return {value, ort_->ReleaseValue};
  }

  // For graphs that run on a stream; null is ONNX Runtime's own.
  Owned<OrtSessionOptions> Options(void* stream) const {
    const std::string otherwise = ort_.name() + " failed";
    OrtSessionOptions* options = nullptr;
    ort_.Check(ort_->CreateSessionOptions(&options), otherwise);
    Owned<OrtSessionOptions> owned(options, ort_->ReleaseSessionOptions);
    const int threads = static_cast<int>(request_.threads);
    ort_.Check(ort_->SetIntraOpNumThreads(options, threads), otherwise);
    ort_.Check(ort_->SetSessionLogSeverityLevel(options, ORT_LOGGING_LEVEL_FATAL), otherwise);
    // Threads that spin after a run would take the cores from unpacking and pixels.
    ort_.Check(ort_->AddSessionConfigEntry(options, "session.force_spinning_stop", "1"), otherwise);
    if (provider_ == "TensorRT") AppendTensorRt(options, stream);
    if (provider_ != "CPU") AppendCuda(options, stream);  // also for what TensorRT leaves over
    return owned;
  }

  void RequireAvailable() const {
    const std::string wanted =
        provider_ == "CUDA" ? "CUDAExecutionProvider" : "TensorrtExecutionProvider";
    char** available = nullptr;
    int count = 0;
    ort_.Check(ort_->GetAvailableProviders(&available, &count), ort_.name() + " failed");
    std::string known;
    bool found = false;
    for (int i = 0; i < count; ++i) {
      found |= available[i] == wanted;
      known += (known.empty() ? "" : ", ") + std::string(available[i]);
    }
    ort_.Check(ort_->ReleaseAvailableProviders(available, count), ort_.name() + " failed");
    if (!found)
      throw Failure(ort_.name() + " was built without " + wanted + ", it has " + known +
                    ": install onnxruntime-gpu, and name its libonnxruntime in " + kVariable);
  }

  void AppendTensorRt(OrtSessionOptions* options, void* stream) const {
    const std::string otherwise = ort_.name() + " cannot use TensorRT";
    OrtTensorRTProviderOptionsV2* created = nullptr;
    ort_.Check(ort_->CreateTensorRTProviderOptions(&created), otherwise);
    const Owned<OrtTensorRTProviderOptionsV2> settings(created,
                                                       ort_->ReleaseTensorRTProviderOptions);
    const std::string device = std::to_string(request_.device_index);
    const char* const keys[] = {"device_id"};
    const char* const values[] = {device.c_str()};
    ort_.Check(ort_->UpdateTensorRTProviderOptions(created, keys, values, 1), otherwise);
    if (stream)
      ort_.Check(ort_->UpdateTensorRTProviderOptionsWithValue(created, kStreamOption, stream),
                 otherwise);
    ort_.Check(ort_->SessionOptionsAppendExecutionProvider_TensorRT_V2(options, created),
               otherwise);
  }

  void AppendCuda(OrtSessionOptions* options, void* stream) const {
    const std::string otherwise = ort_.name() + " cannot use CUDA";
    OrtCUDAProviderOptionsV2* created = nullptr;
    ort_.Check(ort_->CreateCUDAProviderOptions(&created), otherwise);
    const Owned<OrtCUDAProviderOptionsV2> settings(created, ort_->ReleaseCUDAProviderOptions);
    const std::string device = std::to_string(request_.device_index);
    // fp32 graphs in fp32: TF32 keeps 10 bits of a float's 23.
    const char* const keys[] = {"device_id", "use_tf32"};
    const char* const values[] = {device.c_str(), "0"};
    ort_.Check(ort_->UpdateCUDAProviderOptions(created, keys, values, 2), otherwise);
    if (stream)
      ort_.Check(ort_->UpdateCUDAProviderOptionsWithValue(created, kStreamOption, stream),
                 otherwise);
    ort_.Check(ort_->SessionOptionsAppendExecutionProvider_CUDA_V2(options, created), otherwise);
  }

  // Graphs are loaded when first run, and again for another stream: theirs cannot be changed.
  OrtSession* SessionOf(const std::string& graph, void* stream) {
    const auto found = sessions_.find(graph);
    if (found != sessions_.end()) {
      if (found->second.stream == stream) return found->second.session.get();
      sessions_.erase(found);
    }
    const uint8_t* bytes = nullptr;
    size_t size = 0;
    char message[1024] = "";
    if (request_.read_graph(request_.bundle, graph.c_str(), &bytes, &size, message, sizeof message))
      throw Failure(message);
    OrtSession* created = nullptr;
    const auto options = Options(stream);
    ort_.Check(ort_->CreateSessionFromArray(env_.get(), bytes, size, options.get(), &created),
               "ONNX Runtime cannot load graph " + graph);
    Owned<OrtSession> session(created, ort_->ReleaseSession);
    RequireTaken(session.get());
    sessions_.emplace(graph, Loaded{std::move(session), stream});
    return created;
  }

  // ONNX Runtime goes on without a provider that it cannot start. A session has an allocator for
  // GPU memory only if one of its providers runs there.
  void RequireTaken(const OrtSession* session) const {
    if (provider_ == "CPU") return;
    OrtAllocator* allocator = nullptr;
    ort_.Check(ort_->CreateAllocator(session, device_memory_.get(), &allocator),
               ort_.name() + " did not take the execution provider " + provider_);
    ort_->ReleaseAllocator(allocator);
  }

  const jpegrt_engine_request request_;
  const std::string provider_;
  const Library ort_;  // before what it releases
  Owned<OrtEnv> env_{nullptr, nullptr};
  Owned<OrtMemoryInfo> host_memory_{nullptr, nullptr}, device_memory_{nullptr, nullptr};
  Owned<OrtRunOptions> enqueuing_{nullptr, nullptr};
  std::map<std::string, Loaded> sessions_;
};

}  // namespace

extern "C" JPEGRT_API jpegrt_status jpegrt_engine_module_open(const jpegrt_engine_request* request,
                                                              jpegrt_engine* engine, char* message,
                                                              size_t message_size) {
  return jpegrt::OpenEngine<Engine>(request, engine, message, message_size);
}
