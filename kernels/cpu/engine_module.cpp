#include "engine_module.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "error.h"
#include "guard.h"

namespace jpegrt {
namespace {

#ifdef __APPLE__
constexpr char kSuffix[] = ".dylib";
#else
constexpr char kSuffix[] = ".so";
#endif

// A shared object, which stays in memory when it is closed: vendors' libraries have threads and
// destructors of their own that do not survive being unmapped.
class SharedObject {
 public:
  explicit SharedObject(const std::string& path)
      : handle_(dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE)) {
    if (!handle_) error_ = dlerror();
  }
  ~SharedObject() {
    if (handle_) dlclose(handle_);
  }
  SharedObject(const SharedObject&) = delete;
  SharedObject& operator=(const SharedObject&) = delete;

  explicit operator bool() const { return handle_; }
  const std::string& error() const { return error_; }
  void* Symbol(const char* name) const { return dlsym(handle_, name); }

 private:
  void* handle_;
  std::string error_;
};

// The folder that this library was loaded from, with its slash; empty if the system does not say.
std::string OwnFolder() {
  static const char anchor = 0;
  Dl_info info = {};
  if (!dladdr(&anchor, &info) || !info.dli_fname) return {};
  const std::string path = info.dli_fname;
  return path.substr(0, path.rfind('/') + 1);
}

std::unique_ptr<SharedObject> OpenModule(const std::string& module) {
  std::vector<std::string> candidates = {module};
  if (module.find('/') == module.npos) {
    const std::string file = "libjpegrt_" + module + kSuffix;
    candidates = {OwnFolder() + file, file};
  }
  std::string errors;
  for (const std::string& path : candidates) {
    auto opened = std::make_unique<SharedObject>(path);
    if (*opened) return opened;
    errors += (errors.empty() ? "" : "; ") + opened->error();
  }
  throw Error(JPEGRT_ERR_ENGINE, "engine module " + module + " cannot be opened (" + errors +
                                     "): install it beside libjpegrt, or give its path");
}

// The precision that is asked for, of the module's own if it has such, else of the bundle's.
std::string ChoosePrecision(const SharedObject& object, const std::string& module,
                            const Bundle& bundle, const char* asked) {
  const auto* own =
      static_cast<const char* const*>(object.Symbol("jpegrt_engine_module_precisions"));
  if (!own || !*own) return bundle.ChoosePrecision(asked);
  const std::string wanted = asked ? asked : bundle.manifest().default_precision;
  std::string known;
  for (const char* const* precision = own; *precision; ++precision) {
    if (*precision == wanted) return wanted;
    known += (known.empty() ? "" : ", ") + std::string(*precision);
  }
  if (!asked) return *own;
  throw Error(JPEGRT_ERR_INVALID_ARGUMENT, "engine module " + module + " has no precision " +
                                               wanted + ": choose one of " + known);
}

// A string of options that outlives them.
class KeptString {
 public:
  explicit KeptString(const char* given) : is_given_(given), text_(given ? given : "") {}
  const char* get() const { return is_given_ ? text_.c_str() : nullptr; }

 private:
  bool is_given_;
  std::string text_;
};

// What a module's engine needs as long as it lives. The strings of the request are these.
struct ModuleEngine {
  explicit ModuleEngine(const jpegrt_engine_options& options)
      : provider(options.provider), library(options.library), engines(options.engines) {}

  std::unique_ptr<SharedObject> object;
  std::shared_ptr<const Bundle> bundle;
  std::string precision;
  const KeptString provider, library, engines;
  std::vector<uint8_t> graph;  // the last one read
  jpegrt_engine engine = {};

  static ModuleEngine* Of(void* user) { return static_cast<ModuleEngine*>(user); }

  static jpegrt_status ReadGraph(void* user, const char* graph, const uint8_t** bytes, size_t* size,
                                 char* message, size_t message_size) {
    ModuleEngine* self = Of(user);
    std::string why;
    const jpegrt_status status = Guard(&why, [&] {
      self->graph = self->bundle->ReadGraph(graph, self->precision);
      *bytes = self->graph.data();
      *size = self->graph.size();
    });
    if (status != JPEGRT_OK) std::snprintf(message, message_size, "%s", why.c_str());
    return status;
  }

  static const char* FileSha256(void* user, const char* file) {
    const auto& listed = Of(user)->bundle->manifest().sha256;
    const auto found = listed.find(file);
    return found == listed.end() ? nullptr : found->second.c_str();
  }

  static int Run(void* user, const char* graph, const jpegrt_tensor* inputs, size_t n_inputs,
                 const jpegrt_tensor* outputs, size_t n_outputs, void* stream, char* message,
                 size_t message_size) {
    ModuleEngine* self = Of(user);
    const int failed = self->engine.run(self->engine.user, graph, inputs, n_inputs, outputs,
                                        n_outputs, stream, message, message_size);
    self->DropGraph();
    return failed;
  }

  static void Destroy(void* user) {
    ModuleEngine* self = Of(user);
    if (self->engine.destroy) self->engine.destroy(self->engine.user);
    delete self;
  }

  void DropGraph() { std::vector<uint8_t>().swap(graph); }
};

}  // namespace

jpegrt_engine OpenEngine(const std::string& module, std::shared_ptr<const Bundle> bundle,
                         const jpegrt_engine_options& options) {
  auto opened = std::make_unique<ModuleEngine>(options);
  opened->bundle = std::move(bundle);
  opened->object = OpenModule(module);
  auto* open = reinterpret_cast<jpegrt_engine_module_open_function*>(
      opened->object->Symbol("jpegrt_engine_module_open"));
  if (!open)
    throw Error(JPEGRT_ERR_ENGINE,
                module + " is no engine module: it exports no jpegrt_engine_module_open");
  opened->precision = ChoosePrecision(*opened->object, module, *opened->bundle, options.precision);

  jpegrt_engine_request request = {};
  request.struct_size = sizeof request;
  request.abi = JPEGRT_ENGINE_MODULE_ABI;
  request.threads = options.threads;
  request.device_index = options.device_index;
  request.provider = opened->provider.get();
  request.library = opened->library.get();
  request.engines = opened->engines.get();
  request.folder = opened->bundle->folder().c_str();
  request.model = opened->bundle->manifest().model.c_str();
  request.precision = opened->precision.c_str();
  request.read_graph = ModuleEngine::ReadGraph;
  request.file_sha256 = ModuleEngine::FileSha256;
  request.bundle = opened.get();

  char message[1024] = "the engine module failed without a message";
  const jpegrt_status status = open(&request, &opened->engine, message, sizeof message);
  message[sizeof message - 1] = 0;
  if (status != JPEGRT_OK) throw Error(status, message);
  if (opened->engine.struct_size != sizeof(jpegrt_engine) || !opened->engine.run)
    throw Error(JPEGRT_ERR_ENGINE, "engine module " + module +
                                       " made no engine: it was built for "
                                       "another version of jpegrt");
  opened->DropGraph();
  return {sizeof(jpegrt_engine), opened.release(), ModuleEngine::Run, ModuleEngine::Destroy};
}

}  // namespace jpegrt
