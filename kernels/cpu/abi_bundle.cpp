// The C ABI of bundles, engine modules, and sessions made from them.

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "../pipeline/options.h"
#include "bundle.h"
#include "create_message.h"
#include "engine_module.h"
#include "error.h"
#include "guard.h"
#include "jpegrt.h"

struct jpegrt_bundle {
  std::shared_ptr<const jpegrt::Bundle> core;
  std::string message;
  std::vector<uint8_t> graph;  // the last one read
};

namespace {

using jpegrt::Guard;
using jpegrt::GuardCreate;
using jpegrt::Refuse;
using jpegrt::ThrowInvalidArgument;

constexpr uint32_t kMaxThreads = 1024;

// Throws Error; threads that are not given are `session_threads`, or one per core.
jpegrt_engine_options Complete(const jpegrt_engine_options* given, uint32_t session_threads) {
  if (given && given->struct_size != sizeof *given) ThrowInvalidArgument();
  jpegrt_engine_options options = {};
  if (given) options = *given;
  options.struct_size = sizeof options;
  if (!options.threads) options.threads = session_threads;
  if (!options.threads) options.threads = std::max(1u, std::thread::hardware_concurrency());
  if (options.threads > kMaxThreads)
    throw jpegrt::Error(JPEGRT_ERR_INVALID_ARGUMENT, "more than 1024 threads are asked for");
  return options;
}

}  // namespace

jpegrt_status jpegrt_bundle_open(const char* folder, jpegrt_bundle** out) {
  if (out) *out = nullptr;
  return GuardCreate([&] {
    if (!folder || !out) ThrowInvalidArgument();
    auto bundle = std::make_unique<jpegrt_bundle>();
    bundle->core = std::make_shared<const jpegrt::Bundle>(folder);
    *out = bundle.release();
  });
}

void jpegrt_bundle_destroy(jpegrt_bundle* bundle) { delete bundle; }

const char* jpegrt_bundle_message(const jpegrt_bundle* bundle) {
  return bundle ? bundle->message.c_str() : "no handle";
}

const char* jpegrt_bundle_model_name(const jpegrt_bundle* bundle) {
  return bundle ? bundle->core->manifest().model.c_str() : nullptr;
}

const jpegrt_model* jpegrt_bundle_model(const jpegrt_bundle* bundle) {
  return bundle ? &bundle->core->model() : nullptr;
}

const char* jpegrt_bundle_precision(const jpegrt_bundle* bundle, uint32_t index) {
  if (!bundle) return nullptr;
  const auto& precisions = bundle->core->manifest().precisions;
  return index < precisions.size() ? precisions[index].name.c_str() : nullptr;
}

const char* jpegrt_bundle_default_precision(const jpegrt_bundle* bundle) {
  return bundle ? bundle->core->manifest().default_precision.c_str() : nullptr;
}

jpegrt_status jpegrt_bundle_read_graph(jpegrt_bundle* bundle, const char* graph,
                                       const char* precision, const uint8_t** bytes, size_t* size) {
  if (!bundle || !graph || !bytes || !size) return Refuse(bundle);
  return Guard(&bundle->message, [&] {
    bundle->graph = bundle->core->ReadGraph(graph, bundle->core->ChoosePrecision(precision));
    *bytes = bundle->graph.data();
    *size = bundle->graph.size();
  });
}

jpegrt_status jpegrt_engine_open(const char* module, const jpegrt_bundle* bundle,
                                 const jpegrt_engine_options* options, jpegrt_engine* out) {
  if (out) *out = {};
  return GuardCreate([&] {
    if (!module || !bundle || !out) ThrowInvalidArgument();
    *out = jpegrt::OpenEngine(module, bundle->core, Complete(options, 0));
  });
}

jpegrt_status jpegrt_session_open(const char* folder, const char* module,
                                  const jpegrt_session_options* options,
                                  const jpegrt_engine_options* engine_options,
                                  jpegrt_session** out) {
  if (out) *out = nullptr;
  std::shared_ptr<const jpegrt::Bundle> bundle;
  jpegrt_engine engine = {};
  const jpegrt_status status = GuardCreate([&] {
    if (!folder || !module || !out) ThrowInvalidArgument();
    const uint32_t threads = jpegrt::CompleteOptions(options).threads;
    bundle = std::make_shared<const jpegrt::Bundle>(folder);
    engine = jpegrt::OpenEngine(module, bundle, Complete(engine_options, threads));
  });
  if (status != JPEGRT_OK) return status;
  return jpegrt_session_create(options, &bundle->model(), &engine, out);
}
