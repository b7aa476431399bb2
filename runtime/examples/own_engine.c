/* An engine of your own: usage: own_engine IN.jpg OUT.pnm
 *
 * jpegrt does everything around a network, and calls an engine for the network itself. This one is
 * no network but a classical deblocking filter: where two 8x8 blocks meet and the step between them
 * is no larger than what quantisation can make, it is spread over two samples on either side.
 *
 * The contract, as jpegrt.h states it:
 *   - The model says which tensors there are. This one works on single samples (cell_px 1, so a
 *     "cell" is a sample) and has a graph for grey alone; chroma is then upsampled as usual.
 *   - `run` is called on the thread that called jpegrt_session_restore. It reads the inputs and
 *     fills every output, in place, and keeps no pointer to either.
 *   - It returns 0, or leaves a sentence in `message` and returns something else: restoring then
 *     fails with JPEGRT_ERR_ENGINE, and the sentence is the session's message.
 *   - `destroy` is called once, with the session: also by a jpegrt_session_create that fails. */
#include <jpegrt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"

/* What the session hands back to `run`: whatever an engine needs, here only something to count. */
typedef struct deblocker {
  unsigned long edges;
} deblocker;

static const jpegrt_tensor* find(const jpegrt_tensor* tensors, size_t count, const char* name) {
  size_t i;
  for (i = 0; i < count; ++i)
    if (strcmp(tensors[i].name, name) == 0) return &tensors[i];
  return NULL;
}

/* Smooths across one edge: the four samples around it are `stride` apart, p[0] the first after. */
static void smooth_edge(deblocker* self, float* p, ptrdiff_t stride, float largest_step) {
  const float step = p[0] - p[-stride];
  if (fabsf(step) > largest_step) return;
  p[-2 * stride] += step / 8;
  p[-stride] += step * 3 / 8;
  p[0] -= step * 3 / 8;
  p[stride] -= step / 8;
  ++self->edges;
}

static int run(void* user, const char* graph, const jpegrt_tensor* inputs, size_t n_inputs,
               const jpegrt_tensor* outputs, size_t n_outputs, void* stream, char* message,
               size_t message_size) {
  const jpegrt_tensor* luma = find(inputs, n_inputs, "luma");
  const jpegrt_tensor* steps = find(inputs, n_inputs, "steps");
  const jpegrt_tensor* restored = find(outputs, n_outputs, "luma_restored");
  ptrdiff_t x, y, width, height;
  float largest_step;
  float* out;
  (void)stream;
  if (!luma || !steps || !restored) {
    snprintf(message, message_size, "graph %s has tensors that this engine does not know", graph);
    return 1;
  }
  /* luma is (1, 1, H, W): centred samples times the model's scale. */
  height = (ptrdiff_t)luma->shape[2];
  width = (ptrdiff_t)luma->shape[3];
  out = restored->data;
  memcpy(out, luma->data, (size_t)height * (size_t)width * sizeof *out);
  /* The first coefficient is eight times a block's mean, so its rounding moves blocks apart by up
   * to an eighth of its quantisation step. */
  largest_step = ((const float*)steps->data)[0] / 8;
  for (y = 0; y < height; ++y)
    for (x = 8; x < width; x += 8) smooth_edge(user, out + y * width + x, 1, largest_step);
  for (y = 8; y < height; y += 8)
    for (x = 0; x < width; ++x) smooth_edge(user, out + y * width + x, width, largest_step);
  return 0;
}

static void destroy(void* user) {
  deblocker* self = user;
  fprintf(stderr, "%lu edges smoothed\n", self->edges);
  free(self);
}

int main(int argc, char** argv) {
  const jpegrt_graph grey = {"grey", 1, 1, 1};
  jpegrt_model model;
  jpegrt_engine engine;
  jpegrt_session* session;
  jpegrt_image image;
  uint8_t *jpeg, *pixels = NULL;
  size_t size;
  int failed = 1;
  if (argc != 3) {
    fprintf(stderr, "usage: %s IN.jpg OUT.pnm\n", argv[0]);
    return 2;
  }
  if (!(jpeg = read_file(argv[1], &size))) return 1;

  memset(&model, 0, sizeof model);
  model.struct_size = sizeof model;
  model.cell_px = 1;
  model.scale = 1;
  model.n_graphs = 1;
  model.graphs = &grey;
  memset(&engine, 0, sizeof engine);
  engine.struct_size = sizeof engine;
  engine.user = calloc(1, sizeof(deblocker));
  engine.run = run;
  engine.destroy = destroy;
  if (!engine.user || jpegrt_session_create(NULL, &model, &engine, &session) != JPEGRT_OK) {
    fprintf(stderr, "%s\n", engine.user ? jpegrt_create_message() : "no memory");
    free(jpeg);
    return 1;
  }

  if (jpegrt_session_read(session, jpeg, size, &image) != JPEGRT_OK) {
    fprintf(stderr, "%s: %s\n", argv[1], jpegrt_session_message(session));
  } else if (!(pixels = malloc((size_t)image.width * image.components * image.height))) {
    fprintf(stderr, "%s: no memory for its pixels\n", argv[1]);
  } else if (jpegrt_session_restore(session, pixels, (size_t)image.width * image.components) !=
             JPEGRT_OK) {
    fprintf(stderr, "%s: %s\n", argv[1], jpegrt_session_message(session));
  } else {
    failed = write_pnm(argv[2], pixels, image.width, image.height, image.components) != 0;
  }
  jpegrt_session_destroy(session);
  free(pixels);
  free(jpeg);
  return failed;
}
