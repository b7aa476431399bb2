/* An engine module for tests. The execution provider that is asked for says how it behaves; as
 * "CPU" its engine checks what it was promised and copies luma. */
#include <jpegrt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef OWN_PRECISIONS
JPEGRT_API const char* const jpegrt_engine_module_precisions[] = {"fp16", "fp32", NULL};
#endif

typedef struct probe {
  jpegrt_engine_request request;
  FILE* log; /* the vendor's library, as far as this module is concerned */
} probe;

static int run(void* user, const char* graph, const jpegrt_tensor* inputs, size_t n_inputs,
               const jpegrt_tensor* outputs, size_t n_outputs, void* stream, char* message,
               size_t message_size) {
  probe* self = user;
  const uint8_t *bytes = NULL, *again = NULL;
  size_t size = 0, size_again = 0, i;
  (void)n_inputs, (void)stream;
  if (self->request.read_graph(self->request.bundle, graph, &bytes, &size, message, message_size))
    return 1;
  fprintf(self->log, "run %s, %lu bytes\n", graph, (unsigned long)size);
  if (self->request.read_graph(self->request.bundle, "no such graph", &again, &size_again, message,
                               message_size) != JPEGRT_ERR_INVALID_ARGUMENT)
    return 1;
  fprintf(self->log, "%s\n", message);
  for (i = 0; i < n_outputs; ++i) {
    size_t count = 1, d;
    for (d = 0; d < outputs[i].rank; ++d) count *= (size_t)outputs[i].shape[d];
    if (i == 0)
      memcpy(outputs[i].data, inputs[i].data, count * sizeof(float));
    else
      memset(outputs[i].data, 0, count * sizeof(float));
  }
  return 0;
}

static void destroy(void* user) {
  probe* self = user;
  fprintf(self->log, "destroyed\n");
  fclose(self->log);
  free(self);
}

JPEGRT_API jpegrt_status jpegrt_engine_module_open(const jpegrt_engine_request* request,
                                                   jpegrt_engine* engine, char* message,
                                                   size_t message_size) {
  const char* provider = request->provider ? request->provider : "CPU";
  probe* self;
  if (request->abi != JPEGRT_ENGINE_MODULE_ABI || request->struct_size != sizeof *request) {
    snprintf(message, message_size, "another version");
    return JPEGRT_ERR_ENGINE;
  }
  if (strcmp(provider, "refusing") == 0) {
    snprintf(message, message_size, "no\nthank you");
    return JPEGRT_ERR_UNSUPPORTED;
  }
  if (strcmp(provider, "silent") == 0) return JPEGRT_ERR_ENGINE;
  if (strcmp(provider, "idle") == 0) return JPEGRT_OK;
  self = calloc(1, sizeof *self);
  self->request = *request;
  self->log = fopen(request->library, "a");
  fprintf(self->log, "%s %s on %s, %lu threads, device %lu\n", request->model, request->precision,
          provider, (unsigned long)request->threads, (unsigned long)request->device_index);
  fprintf(self->log, "engines in %s, bundle in %s, %s, %s\n",
          request->engines ? request->engines : "no folder", request->folder,
          request->file_sha256(request->bundle, "grey.fp32.onnx"),
          request->file_sha256(request->bundle, "manifest.json") ? "and more" : "no more");
  engine->struct_size = sizeof *engine;
  engine->user = self;
  engine->run = run;
  engine->destroy = destroy;
  return JPEGRT_OK;
}
