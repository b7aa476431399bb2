// A libnvinfer for tests: TensorRT's own headers, engines that copy, and no mercy for a call that
// its documentation does not allow, which ends the process with a word on stderr.
//
// An engine is text. After its first line, "fake engine", each line is one of
//   input NAME D...            -1: dynamic
//   output NAME PLANES         float32, images, rows and columns as the first input's
//   half NAME                  that tensor is float16
//   profile N NAME D... D...   the least and the largest shape
//   scratch BYTES              for each number of the first input
// A run copies the first input into the first output, cut off or filled up with zeros.
//
// FAKE_NVINFER makes it fail: "old" is TensorRT 8, "dead" starts nothing, "stuck" enqueues nothing.
// The file FAKE_NVINFER_LOG gets a line for each thing that a caller may be asked about.

#include <NvInferRuntime.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <sstream>
#include <string>
#include <vector>

[[noreturn]] static void Unexpected(const char* what) {
  std::fprintf(stderr, "fake libnvinfer: %s\n", what);
  std::abort();
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#include "stubs.h"  // made by tests/runtime/fake_nvinfer.py: every function, calling Unexpected
#pragma GCC diagnostic pop

namespace {

using namespace nvinfer1;

int alive = 0;  // runtimes, engines and contexts

void Expect(bool holds, const char* otherwise) {
  if (!holds) Unexpected(otherwise);
}

bool Plays(const char* part) {
  const char* const played = std::getenv("FAKE_NVINFER");
  return played && std::strcmp(played, part) == 0;
}

void WriteLog(const std::string& line) {
  const char* const path = std::getenv("FAKE_NVINFER_LOG");
  if (!path) return;
  FILE* const file = std::fopen(path, "a");
  std::fprintf(file, "%s\n", line.c_str());
  std::fclose(file);
}

std::string Text(const Dims& dims) {
  std::string text;
  for (int i = 0; i < dims.nbDims; ++i) text += (i ? "x" : "") + std::to_string(dims.d[i]);
  return text;
}

struct Parsed {
  struct Tensor {
    std::string name;
    bool is_input;
    Dims dims;
    DataType type = DataType::kFLOAT;
  };
  std::vector<Tensor> tensors;
  std::vector<std::map<std::string, std::pair<Dims, Dims>>> profiles;
  size_t scratch = 0;

  explicit Parsed(const std::string& text) {
    std::istringstream lines(text);
    std::string line;
    std::getline(lines, line);
    while (std::getline(lines, line)) {
      std::istringstream words(line);
      std::string kind, name;
      words >> kind;
      if (kind == "scratch") {
        words >> scratch;
      } else if (kind == "profile") {
        size_t index = 0;
        words >> index >> name;
        profiles.resize(std::max(profiles.size(), index + 1));
        const int rank = Find(name).dims.nbDims;
        Dims& least = profiles[index][name].first;
        Dims& largest = profiles[index][name].second;
        least.nbDims = largest.nbDims = rank;
        for (Dims* dims : {&least, &largest})
          for (int i = 0; i < rank; ++i) words >> dims->d[i];
      } else {
        words >> name;
        if (kind == "half") {
          const_cast<Tensor&>(Find(name)).type = DataType::kHALF;
          continue;
        }
        Tensor tensor = {name, kind == "input", {}};
        while (words >> tensor.dims.d[tensor.dims.nbDims]) ++tensor.dims.nbDims;
        tensors.push_back(tensor);
      }
    }
  }

  // One of no mode for a name that it has not.
  const Tensor& Find(const std::string& name) const {
    for (const Tensor& tensor : tensors)
      if (tensor.name == name) return tensor;
    Unexpected("a tensor that the engine has not");
  }
  bool Has(const std::string& name) const {
    return std::any_of(tensors.begin(), tensors.end(),
                       [&](const Tensor& tensor) { return tensor.name == name; });
  }
};

class Context : public IExecutionContext {
 public:
  Context(const Parsed& parsed, ILogger* logger) : impl_(parsed, logger) { mImpl = &impl_; }

 private:
  class Impl : public StubExecutionContext {
   public:
    Impl(const Parsed& parsed, ILogger* logger) : parsed_(parsed), logger_(logger) { ++alive; }
    ~Impl() noexcept override { --alive; }

    bool setOptimizationProfileAsync(int32_t profile, cudaStream_t) noexcept override {
      Expect(profile >= 0 && profile < static_cast<int>(parsed_.profiles.size()),
             "no such profile");
      profile_ = profile;
      shapes_.clear();
      return true;
    }
    bool setInputShape(const char* name, const Dims& dims) noexcept override {
      Expect(profile_ >= 0, "a shape before the profile");
      Expect(parsed_.Find(name).is_input, "a shape of an output");
      const auto& [least, largest] = parsed_.profiles[static_cast<size_t>(profile_)].at(name);
      Expect(dims.nbDims == least.nbDims, "a shape of another rank");
      for (int i = 0; i < dims.nbDims; ++i)
        Expect(least.d[i] <= dims.d[i] && dims.d[i] <= largest.d[i], "a shape beyond the profile");
      shapes_[name] = dims;
      is_sized_ = false;
      return true;
    }
    Dims getTensorShape(const char* name) const noexcept override {
      const Parsed::Tensor& tensor = parsed_.Find(name);
      if (tensor.is_input) return shapes_.at(name);
      Dims shape = First();
      shape.d[1] = tensor.dims.d[0];
      return shape;
    }
    bool setTensorAddress(const char* name, void* data) noexcept override {
      Expect(parsed_.Has(name) && data, "an address of nothing");
      addresses_[name] = data;
      return true;
    }
    size_t updateDeviceMemorySizeForShapes() noexcept override {
      RequireShapes();
      is_sized_ = true;
      return needed_ = parsed_.scratch * Count(First());
    }
    void setDeviceMemoryV2(void* memory, int64_t size) noexcept override {
      Expect(is_sized_, "memory before its size is known");
      Expect(size >= static_cast<int64_t>(needed_) && (memory || !needed_), "too little memory");
      memory_ = memory;
    }
    bool enqueueV3(cudaStream_t stream) noexcept override {
      RequireShapes();
      Expect(is_sized_, "a run before the memory");
      for (const Parsed::Tensor& tensor : parsed_.tensors)
        Expect(addresses_.count(tensor.name), "a run before an address");
      if (Plays("stuck")) {
        logger_->log(ILogger::Severity::kWARNING, "so far so good");
        logger_->log(ILogger::Severity::kERROR, "launch failed\n  in layer 3");
        logger_->log(ILogger::Severity::kERROR, "and so on");
        return false;
      }
      if (memory_) std::memset(memory_, 0xee, needed_);
      const Parsed::Tensor& from = parsed_.tensors.front();
      for (const Parsed::Tensor& tensor : parsed_.tensors) {
        if (tensor.is_input) continue;
        const size_t count = Count(getTensorShape(tensor.name.c_str()));
        auto* const out = static_cast<float*>(addresses_[tensor.name]);
        const size_t copied = tensor.name == FirstOutput() ? std::min(count, Count(First())) : 0;
        std::memcpy(out, addresses_[from.name], copied * sizeof(float));
        std::fill(out + copied, out + count, 0.f);
      }
      char line[128];
      std::snprintf(line, sizeof line, "run %s profile %d stream %p", Text(First()).c_str(),
                    profile_, static_cast<void*>(stream));
      WriteLog(line);
      is_sized_ = false;  // memory is for one run
      return true;
    }

   private:
    const Dims& First() const { return shapes_.at(parsed_.tensors.front().name); }
    std::string FirstOutput() const {
      for (const Parsed::Tensor& tensor : parsed_.tensors)
        if (!tensor.is_input) return tensor.name;
      return {};
    }
    static size_t Count(const Dims& dims) {
      size_t count = 1;
      for (int i = 0; i < dims.nbDims; ++i) count *= static_cast<size_t>(dims.d[i]);
      return count;
    }
    void RequireShapes() const {
      for (const Parsed::Tensor& tensor : parsed_.tensors)
        Expect(!tensor.is_input || shapes_.count(tensor.name), "an input without a shape");
    }

    const Parsed parsed_;
    ILogger* const logger_;
    int32_t profile_ = -1;
    std::map<std::string, Dims> shapes_;
    std::map<std::string, void*> addresses_;
    bool is_sized_ = false;
    size_t needed_ = 0;
    void* memory_ = nullptr;
  } impl_;
};

class Engine : public ICudaEngine {
 public:
  Engine(const std::string& text, ILogger* logger) : impl_(text, logger) { mImpl = &impl_; }

 private:
  class Impl : public StubCudaEngine {
   public:
    Impl(const std::string& text, ILogger* logger) : parsed_(text), logger_(logger) { ++alive; }
    ~Impl() noexcept override { --alive; }

    int32_t getNbIOTensors() const noexcept override {
      return static_cast<int32_t>(parsed_.tensors.size());
    }
    TensorIOMode getTensorIOMode(const char* name) const noexcept override {
      if (!parsed_.Has(name)) return TensorIOMode::kNONE;
      return parsed_.Find(name).is_input ? TensorIOMode::kINPUT : TensorIOMode::kOUTPUT;
    }
    DataType getTensorDataType(const char* name) const noexcept override {
      return parsed_.Find(name).type;
    }
    int32_t getNbOptimizationProfiles() const noexcept override {
      return static_cast<int32_t>(parsed_.profiles.size());
    }
    Dims getProfileShape(const char* name, int32_t profile,
                         OptProfileSelector select) const noexcept override {
      const auto& shapes = parsed_.profiles.at(static_cast<size_t>(profile)).at(name);
      Expect(select != OptProfileSelector::kOPT, "nobody needs that");
      return select == OptProfileSelector::kMIN ? shapes.first : shapes.second;
    }
    IExecutionContext* createExecutionContext(
        ExecutionContextAllocationStrategy strategy) noexcept override {
      Expect(strategy == ExecutionContextAllocationStrategy::kUSER_MANAGED, "memory of its own");
      WriteLog("context");
      return new Context(parsed_, logger_);
    }

   private:
    const Parsed parsed_;
    ILogger* const logger_;
  } impl_;
};

class Runtime : public IRuntime {
 public:
  explicit Runtime(ILogger* logger) : impl_(logger) { mImpl = &impl_; }

 private:
  class Impl : public StubRuntime {
   public:
    explicit Impl(ILogger* logger) : logger_(logger) { ++alive; }
    ~Impl() noexcept override {
      Expect(--alive == 0, "a runtime that ends before what it made");
      WriteLog("ended");
    }

    ICudaEngine* deserializeCudaEngine(const void* blob, size_t size) noexcept override {
      const std::string text(static_cast<const char*>(blob), size);
      if (text.rfind("fake engine\n", 0) != 0) {
        logger_->log(ILogger::Severity::kERROR, "magic tag does not match");
        return nullptr;
      }
      WriteLog("engine");
      return new Engine(text, logger_);
    }

   private:
    ILogger* const logger_;
  } impl_;
};

}  // namespace

extern "C" {
void* createInferRuntime_INTERNAL(void* logger, int32_t version) noexcept {
  Expect(logger && version == NV_TENSORRT_VERSION, "another version's headers");
  if (Plays("dead")) {
    static_cast<ILogger*>(logger)->log(ILogger::Severity::kERROR, "CUDA does not start");
    return reinterpret_cast<void*>(0x228);  // as TensorRT's lean library does
  }
  return static_cast<IRuntime*>(new Runtime(static_cast<ILogger*>(logger)));
}
int32_t getInferLibMajorVersion() noexcept { return Plays("old") ? 8 : NV_TENSORRT_MAJOR; }
int32_t getInferLibMinorVersion() noexcept { return 9; }
int32_t getInferLibPatchVersion() noexcept { return 8; }
int32_t getInferLibBuildVersion() noexcept { return 7; }
}
