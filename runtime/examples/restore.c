/* Restores a JPEG: usage: restore BUNDLE IN.jpg OUT.pnm [ENGINE_MODULE]
 *
 * BUNDLE is a model's folder, ENGINE_MODULE what runs its network: the name or the path of an
 * engine module, "onnxruntime" unless given. That one opens libonnxruntime when the session is
 * made; the environment variable JPEGRT_ONNXRUNTIME says where it is, if the system does not know.
 *
 * The four steps of every program that embeds jpegrt:
 *   1. jpegrt_session_open    once: it holds the network, and memory that it reuses
 *   2. jpegrt_session_read    each image; jpegrt_session_output_size then tells its pixels' size
 *   3. jpegrt_session_restore each image: fills pixels that the caller owns
 *   4. jpegrt_session_destroy
 * Each call says how it went with its status; the sentence to show is jpegrt_create_message() while
 * there is no session, jpegrt_session_message(session) from then on. */
#include <jpegrt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"

/* Returns the pixels, to be freed, or NULL with a line on stderr. */
static uint8_t* restore(jpegrt_session* session, const char* path, jpegrt_pixel_size* output) {
  size_t size;
  uint8_t* pixels = NULL;
  uint8_t* jpeg = read_file(path, &size);
  if (!jpeg) return NULL;
  /* The bytes are needed until the read returns, the size of the pixels is known after it. */
  if (jpegrt_session_read(session, jpeg, size, NULL) != JPEGRT_OK) {
    fprintf(stderr, "%s: %s\n", path, jpegrt_session_message(session));
  } else {
    size_t row;
    jpegrt_session_output_size(session, output);
    row = (size_t)output->width * output->channels;
    pixels = malloc(row * output->height);
    if (!pixels) {
      fprintf(stderr, "%s: no memory for its pixels\n", path);
    } else if (jpegrt_session_restore(session, pixels, row) != JPEGRT_OK) {
      fprintf(stderr, "%s: %s\n", path, jpegrt_session_message(session));
      free(pixels);
      pixels = NULL;
    }
  }
  free(jpeg);
  return pixels;
}

int main(int argc, char** argv) {
  jpegrt_session_options options;
  jpegrt_session* session;
  jpegrt_pixel_size output;
  uint8_t* pixels;
  int failed = 1;
  if (argc < 4 || argc > 5) {
    fprintf(stderr, "usage: %s BUNDLE IN.jpg OUT.pnm [ENGINE_MODULE]\n", argv[0]);
    return 2;
  }

  /* Zeros are the defaults: all cores, damaged files refused, 2^27 pixels at most. */
  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  options.read.struct_size = sizeof options.read;
  if (jpegrt_session_open(argv[1], argc > 4 ? argv[4] : "onnxruntime", &options, NULL, &session) !=
      JPEGRT_OK) {
    fprintf(stderr, "%s\n", jpegrt_create_message());
    return 2;
  }
  pixels = restore(session, argv[2], &output);
  if (pixels)
    failed = write_pnm(argv[3], pixels, output.width, output.height, output.channels) != 0;
  free(pixels);
  jpegrt_session_destroy(session);
  return failed;
}
