/* Runs the non-local operator and its mask on images of many shapes in memory of exactly the size
 * that jpegrt.h states, for sanitizers to watch. Where no key is left the value must come back. */
#include <jpegrt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUIRE(condition)                                            \
  do {                                                                \
    if (!(condition)) {                                               \
      fprintf(stderr, "%s:%d: " #condition "\n", __FILE__, __LINE__); \
      exit(1);                                                        \
    }                                                                 \
  } while (0)

static uint32_t state = 1;

static float random_unit(void) {
  state = state * 1664525u + 1013904223u;
  return (float)(state >> 8) / 16777216.0f;
}

static void run(uint32_t channels, uint32_t height, uint32_t width, uint32_t window_px, float h,
                float key_share) {
  const size_t pixels = (size_t)2 * height * width;
  const size_t samples = pixels * channels;
  float* const guide = calloc(samples, sizeof *guide);
  float* const value = calloc(samples, sizeof *value);
  float* const filtered = calloc(samples, sizeof *filtered);
  float* const strengths = calloc(pixels, sizeof *strengths);
  uint8_t* const keys = calloc(pixels, 1);
  REQUIRE(guide && value && filtered && strengths && keys);
  for (size_t i = 0; i < samples; ++i) guide[i] = random_unit(), value[i] = random_unit();
  for (size_t i = 0; i < pixels; ++i) {
    strengths[i] = h * random_unit();
    keys[i] = random_unit() < key_share;
  }
  jpegrt_non_local_options options;
  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  options.threads = 2;
  options.images = 2;
  options.channels = channels;
  options.height = height;
  options.width = width;
  options.window_px = window_px;
  REQUIRE(jpegrt_non_local(&options, guide, value, strengths, keys, filtered) == JPEGRT_OK);
  for (size_t i = 0; i < samples; ++i) REQUIRE(filtered[i] >= -1e-5f && filtered[i] <= 1.00001f);
  if (key_share == 0)
    for (size_t i = 0; i < samples; ++i) REQUIRE(fabsf(filtered[i] - value[i]) < 1e-6f);

  /* The same bytes, as halves: numbers of any size, and what are none. */
  options.dtype = JPEGRT_FLOAT16;
  REQUIRE(jpegrt_non_local(&options, guide, value, NULL, NULL, filtered) == JPEGRT_OK);

  jpegrt_blocking_edges_options edges;
  memset(&edges, 0, sizeof edges);
  edges.struct_size = sizeof edges;
  edges.images = 2;
  edges.channels = channels;
  edges.height = height;
  edges.width = width;
  edges.grid_x = width % 8;
  edges.grid_y = height % 8;
  edges.ratio = 1;
  REQUIRE(jpegrt_find_blocking_edges(&edges, value, keys) == JPEGRT_OK);
  for (size_t i = 0; i < pixels; ++i) REQUIRE(keys[i] <= 1);

  free(guide), free(value), free(filtered), free(strengths), free(keys);
}

int main(void) {
  static const uint32_t sides[] = {1, 2, 9, 41};
  static const float strengths[] = {0.0f, 0.01f, 30.0f};
  static const float key_shares[] = {0.0f, 0.5f, 1.0f};
  for (size_t y = 0; y < sizeof sides / sizeof *sides; ++y)
    for (size_t x = 0; x < sizeof sides / sizeof *sides; ++x)
      for (uint32_t window_px = 0; window_px < 6; window_px += 5)
        for (size_t i = 0; i < 3; ++i)
          run(i % 2 ? 1 : 3, sides[y], sides[x], window_px, strengths[i], key_shares[(x + i) % 3]);
  run(3, 70, 65, 0, 0.1f, 0.7f); /* several tiles */
  run(1, 70, 65, 9, 0.001f, 0.7f);
  return 0;
}
