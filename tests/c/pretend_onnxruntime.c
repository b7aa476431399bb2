/* A libonnxruntime for tests: the real one, which REAL_ONNXRUNTIME names, but for what PRETEND
 * says.
 *   old     it is version 1.16.3
 *   silent  it has the CUDA provider, takes its options, and makes sessions without it
 *   host    likewise, and takes GPU memory for the host's, where an emulated driver has it; the
 * file PRETEND_LOG gets a line for each stream that a provider is given, and for each run */
#include <dlfcn.h>
#include <onnxruntime_c_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const OrtApiBase* real;
static const OrtApi* real_api;
static OrtApi api;

static int pretends(const char* what) { return strcmp(getenv("PRETEND"), what) == 0; }

static void write_log(const char* what, const void* value) {
  FILE* file = fopen(getenv("PRETEND_LOG"), "a");
  fprintf(file, "%s %p\n", what, value);
  fclose(file);
}

static OrtStatus* providers(char*** names, int* count) {
  *names = calloc(1, sizeof **names);
  (*names)[0] = strdup("CUDAExecutionProvider");
  *count = 1;
  return NULL;
}

static OrtStatus* release_providers(char** names, int count) {
  (void)count;
  free(names[0]);
  free(names);
  return NULL;
}

static OrtStatus* create(OrtCUDAProviderOptionsV2** options) {
  *options = NULL;
  return NULL;
}

static OrtStatus* update(OrtCUDAProviderOptionsV2* options, const char* const* keys,
                         const char* const* values, size_t count) {
  (void)options, (void)keys, (void)values, (void)count;
  return NULL;
}

static OrtStatus* append(OrtSessionOptions* options, const OrtCUDAProviderOptionsV2* cuda) {
  (void)options, (void)cuda;
  return NULL;
}

static void release(OrtCUDAProviderOptionsV2* options) { (void)options; }

static OrtStatus* update_with(OrtCUDAProviderOptionsV2* options, const char* key, void* value) {
  (void)options;
  write_log(key, value);
  return NULL;
}

static OrtStatus* memory_info(const char* name, enum OrtAllocatorType type, int device,
                              enum OrtMemType kind, OrtMemoryInfo** info) {
  (void)name, (void)device;
  return real_api->CreateCpuMemoryInfo(type, kind, info);
}

static OrtStatus* run(OrtSession* session, const OrtRunOptions* options,
                      const OrtIoBinding* binding) {
  write_log(options ? "enqueued" : "run", NULL);
  return real_api->RunWithBinding(session, options, binding);
}

static const OrtApi* get_api(uint32_t version) {
  if (pretends("old")) return NULL;
  real_api = real->GetApi(version);
  api = *real_api;
  api.GetAvailableProviders = providers;
  api.ReleaseAvailableProviders = release_providers;
  api.CreateCUDAProviderOptions = create;
  api.UpdateCUDAProviderOptions = update;
  api.SessionOptionsAppendExecutionProvider_CUDA_V2 = append;
  api.ReleaseCUDAProviderOptions = release;
  if (!pretends("host")) return &api;
  api.UpdateCUDAProviderOptionsWithValue = update_with;
  api.CreateMemoryInfo = memory_info;
  api.RunWithBinding = run;
  return &api;
}

static const char* version(void) { return pretends("old") ? "1.16.3" : real->GetVersionString(); }

const OrtApiBase* OrtGetApiBase(void) {
  static OrtApiBase base;
  void* library = dlopen(getenv("REAL_ONNXRUNTIME"), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  const OrtApiBase* (*get)(void);
  *(void**)&get = dlsym(library, "OrtGetApiBase");
  real = get();
  base.GetApi = get_api;
  base.GetVersionString = version;
  return &base;
}
