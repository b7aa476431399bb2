/* Restores one JPEG many times, in one or more threads with a session each, and checks that every
 * restore gives the same bytes.
 *
 * usage: restore_many BUNDLE MODULE IN.jpg COUNT THREADS
 *
 * MODULE "own" is an engine of this program's, which copies its input. Prints the pixels' FNV-1a
 * hash, then the resident memory in KiB after one, four, seven and all ten tenths of the restores.
 */
#define _POSIX_C_SOURCE 200809L
#include <jpegrt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct job {
  const char *folder, *module;
  const uint8_t* jpeg;
  size_t size;
  unsigned long count;
  uint64_t hash;
  long resident_kib[4];
  int failed;
} job;

static long resident_kib(void) {
  char line[256];
  long kib = -1;
  FILE* file = fopen("/proc/self/status", "r");
  if (!file) return -1;
  while (fgets(line, sizeof line, file))
    if (sscanf(line, "VmRSS: %ld", &kib) == 1) break;
  fclose(file);
  return kib;
}

static uint64_t hash_of(const uint8_t* bytes, size_t size) {
  uint64_t hash = 0xcbf29ce484222325u;
  size_t i;
  for (i = 0; i < size; ++i) hash = (hash ^ bytes[i]) * 0x100000001b3u;
  return hash;
}

/* Each output is as much of its input as fits, again and again. */
static int copy(void* user, const char* graph, const jpegrt_tensor* inputs, size_t n_inputs,
                const jpegrt_tensor* outputs, size_t n_outputs, void* stream, char* message,
                size_t message_size) {
  size_t i;
  (void)user, (void)graph, (void)n_inputs, (void)stream, (void)message, (void)message_size;
  for (i = 0; i < n_outputs; ++i) {
    const int64_t *in = inputs[i].shape, *out = outputs[i].shape;
    const size_t given = (size_t)(in[1] * in[2] * in[3]);
    const size_t wanted = (size_t)(out[1] * out[2] * out[3]);
    size_t k;
    for (k = 0; k < wanted; ++k)
      ((float*)outputs[i].data)[k] = ((const float*)inputs[i].data)[k % given];
  }
  return 0;
}

static jpegrt_status open_session(const job* j, jpegrt_session** session) {
  jpegrt_session_options options;
  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  options.read.struct_size = sizeof options.read;
  options.threads = 2;
  if (strcmp(j->module, "own") == 0) {
    jpegrt_bundle* bundle;
    jpegrt_engine engine;
    jpegrt_status status = jpegrt_bundle_open(j->folder, &bundle);
    if (status != JPEGRT_OK) return status;
    memset(&engine, 0, sizeof engine);
    engine.struct_size = sizeof engine;
    engine.run = copy;
    status = jpegrt_session_create(&options, jpegrt_bundle_model(bundle), &engine, session);
    jpegrt_bundle_destroy(bundle);
    return status;
  }
  return jpegrt_session_open(j->folder, j->module, &options, NULL, session);
}

static void restore_all(job* j, jpegrt_session* session) {
  unsigned long i, tenth;
  for (i = 0; i < j->count; ++i) {
    jpegrt_image image;
    uint8_t* pixels;
    uint64_t hash;
    size_t row;
    if (jpegrt_session_read(session, j->jpeg, j->size, &image) != JPEGRT_OK) break;
    row = (size_t)image.width * image.components;
    pixels = malloc(row * image.height);
    if (!pixels || jpegrt_session_restore(session, pixels, row) != JPEGRT_OK) {
      free(pixels);
      break;
    }
    hash = hash_of(pixels, row * image.height);
    free(pixels);
    if (i == 0) j->hash = hash;
    if (hash != j->hash) {
      fprintf(stderr, "restore %lu gave other bytes\n", i);
      return;
    }
    for (tenth = 1; tenth <= 10; tenth += 3)
      if (i + 1 == j->count * tenth / 10) j->resident_kib[tenth / 3] = resident_kib();
  }
  j->failed = i < j->count;
  if (j->failed) fprintf(stderr, "%s\n", jpegrt_session_message(session));
}

static void* work(void* argument) {
  job* j = argument;
  jpegrt_session* session;
  j->failed = 1;
  if (open_session(j, &session) != JPEGRT_OK) {
    fprintf(stderr, "%s\n", jpegrt_create_message());
    return NULL;
  }
  restore_all(j, session);
  jpegrt_session_destroy(session);
  return NULL;
}

int main(int argc, char** argv) {
  static uint8_t jpeg[1 << 20];
  job jobs[64];
  pthread_t threads[64];
  size_t n_threads, i, started;
  int failed = 0;
  job first;
  FILE* file;
  if (argc != 6 || !(file = fopen(argv[3], "rb"))) {
    fprintf(stderr, "usage: restore_many BUNDLE MODULE IN.jpg COUNT THREADS\n");
    return 2;
  }
  memset(&first, 0, sizeof first);
  first.folder = argv[1];
  first.module = argv[2];
  first.jpeg = jpeg;
  first.size = fread(jpeg, 1, sizeof jpeg, file);
  fclose(file);
  first.count = strtoul(argv[4], NULL, 10);
  n_threads = strtoul(argv[5], NULL, 10);
  if (n_threads < 1 || n_threads > 64) return 2;
  for (started = 0; started < n_threads; ++started) {
    jobs[started] = first;
    if (pthread_create(&threads[started], NULL, work, &jobs[started]) != 0) break;
  }
  for (i = 0; i < started; ++i) {
    pthread_join(threads[i], NULL);
    failed |= jobs[i].failed || jobs[i].hash != jobs[0].hash;
  }
  if (failed || started < n_threads) {
    fprintf(stderr, "failed, or the threads' bytes differ\n");
    return 1;
  }
  printf("%016llx", (unsigned long long)jobs[0].hash);
  for (i = 0; i < 4; ++i) printf(" %ld", jobs[0].resident_kib[i]);
  printf("\n");
  return 0;
}
