/* A libonnxruntime for tests: the real one, which REAL_ONNXRUNTIME names, but for what PRETEND
 * says. old     it is version 1.16.3 silent  it has the CUDA provider, takes its options, and makes
 * sessions without it */
#include <dlfcn.h>
#include <onnxruntime_c_api.h>
#include <stdlib.h>
#include <string.h>

static const OrtApiBase* real;
static OrtApi api;

static int pretends(const char* what) { return strcmp(getenv("PRETEND"), what) == 0; }

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

static const OrtApi* get_api(uint32_t version) {
  if (pretends("old")) return NULL;
  api = *real->GetApi(version);
  api.GetAvailableProviders = providers;
  api.ReleaseAvailableProviders = release_providers;
  api.CreateCUDAProviderOptions = create;
  api.UpdateCUDAProviderOptions = update;
  api.SessionOptionsAppendExecutionProvider_CUDA_V2 = append;
  api.ReleaseCUDAProviderOptions = release;
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
