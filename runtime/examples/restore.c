/* Restores an image: usage: restore BUNDLE IN OUT.pnm [ENGINE_MODULE]
 *
 * IN is a JPEG or, for models that take pixels, a binary PGM or PPM.
 * BUNDLE is a model's folder, ENGINE_MODULE what runs its network: the name or the path of an
 * engine module, "onnxruntime" unless given. That one opens libonnxruntime when the session is
 * made; the environment variable JPEGRT_ONNXRUNTIME says where it is, if the system does not know.
 *
 * The four steps of every program that embeds jpegrt:
 *   1. jpegrt_session_open    once: it holds the network, and memory that it reuses
 *   2. jpegrt_session_read    each image (jpegrt_session_load_pixels if it is no JPEG);
 *                             jpegrt_session_output_size then tells how large it will be
 *   3. jpegrt_session_restore each image: fills pixels that the caller owns
 *   4. jpegrt_session_destroy
 * Each call says how it went with its status; the sentence to show is jpegrt_create_message() while
 * there is no session, jpegrt_session_message(session) from then on. */
#include <jpegrt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"

/* Hands an image to the session, a JPEG unless the bytes are a PNM's. */
static jpegrt_status load(jpegrt_session* session, const uint8_t* bytes, size_t size) {
  uint32_t width, height, channels;
  const uint8_t* pixels = find_pnm_pixels(bytes, size, &width, &height, &channels);
  if (!pixels) return jpegrt_session_read(session, bytes, size, NULL);
  return jpegrt_session_load_pixels(session, pixels, width, height, channels,
                                    (size_t)width * channels);
}

/* Returns the pixels, to be freed, or NULL with a line on stderr. */
static uint8_t* restore(jpegrt_session* session, const char* path, jpegrt_pixel_size* output) {
  size_t size;
  uint8_t* pixels = NULL;
  uint8_t* bytes = read_file(path, &size);
  if (!bytes) return NULL;
  /* A JPEG's bytes are needed until the read returns, pixels until they are restored. */
  if (load(session, bytes, size) != JPEGRT_OK ||
      jpegrt_session_output_size(session, output) != JPEGRT_OK) {
    fprintf(stderr, "%s: %s\n", path, jpegrt_session_message(session));
  } else {
    const size_t row = (size_t)output->width * output->channels;
    pixels = malloc(row * output->height);
    if (!pixels) {
      fprintf(stderr, "%s: no memory for its pixels\n", path);
    } else if (jpegrt_session_restore(session, pixels, row) != JPEGRT_OK) {
      fprintf(stderr, "%s: %s\n", path, jpegrt_session_message(session));
      free(pixels);
      pixels = NULL;
    }
  }
  free(bytes);
  return pixels;
}

int main(int argc, char** argv) {
  jpegrt_session_options options;
  jpegrt_session* session;
  jpegrt_pixel_size output;
  uint8_t* pixels;
  int failed = 1;
  if (argc < 4 || argc > 5) {
    fprintf(stderr, "usage: %s BUNDLE IN OUT.pnm [ENGINE_MODULE]\n", argv[0]);
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
