/* The C ABI from strict C99: handles, statuses, messages, and an engine written in C. */
#include <jpegrt.h>
#include <stdio.h>
#include <string.h>

static int failures = 0;

#define EXPECT(condition)                                                       \
  do {                                                                          \
    if (!(condition)) {                                                         \
      fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
      ++failures;                                                               \
    }                                                                           \
  } while (0)

static int refuse(void* user, const char* graph, const jpegrt_tensor* inputs, size_t n_inputs,
                  const jpegrt_tensor* outputs, size_t n_outputs, void* stream, char* message,
                  size_t message_size) {
  (void)user, (void)graph, (void)inputs, (void)n_inputs, (void)outputs, (void)n_outputs;
  (void)stream;
  snprintf(message, message_size, "not today");
  return 1;
}

static void count(void* user) { ++*(int*)user; }

static void test_blocks(void) {
  int16_t coefficients[64] = {8};
  uint16_t table[64] = {4};
  uint8_t samples[64];
  jpegrt_blocks blocks;
  memset(&blocks, 0, sizeof blocks);
  EXPECT(jpegrt_samples_from_blocks(&blocks, samples) == JPEGRT_ERR_INVALID_ARGUMENT);
  blocks.data = coefficients;
  blocks.table = table;
  blocks.rows = blocks.columns = blocks.stride = 1;
  EXPECT(jpegrt_samples_from_blocks(&blocks, samples) == JPEGRT_OK);
  EXPECT(samples[0] == 132 && samples[63] == 132);
}

static void test_packed(void) {
  int16_t coefficients[64] = {8, -300}, unpacked[64];
  uint16_t table[64] = {4, 1};
  uint8_t stream[512];
  float plane[64], dense[64];
  size_t size = 0;
  jpegrt_blocks blocks;
  jpegrt_packed packed;
  blocks.data = coefficients;
  blocks.table = table;
  blocks.rows = blocks.columns = blocks.stride = 1;
  EXPECT(jpegrt_packed_bound(1, 1) <= sizeof stream);
  EXPECT(jpegrt_pack_blocks(&blocks, stream, 8, &size) == JPEGRT_ERR_INVALID_ARGUMENT);
  EXPECT(jpegrt_pack_blocks(&blocks, stream, sizeof stream, &size) == JPEGRT_OK);
  EXPECT(size == 48);
  EXPECT(jpegrt_packed_read_header(stream, size - 1, &packed) == JPEGRT_ERR_DAMAGED);
  EXPECT(jpegrt_packed_read_header(stream, size, &packed) == JPEGRT_OK);
  EXPECT(packed.rows == 1 && packed.columns == 1 && packed.table == NULL);
  EXPECT(jpegrt_packed_check(&packed) == JPEGRT_OK);
  EXPECT(jpegrt_blocks_from_packed(&packed, unpacked) == JPEGRT_OK);
  EXPECT(memcmp(unpacked, coefficients, sizeof unpacked) == 0);
  EXPECT(jpegrt_cells_from_packed(&packed, 1, 1, 1, plane) == JPEGRT_ERR_INVALID_ARGUMENT);
  packed.table = table;
  EXPECT(jpegrt_cells_from_packed(&packed, 1, 1, 1, plane) == JPEGRT_OK);
  EXPECT(jpegrt_cells_from_blocks(&blocks, 1, 1, 1, dense) == JPEGRT_OK);
  EXPECT(memcmp(plane, dense, sizeof plane) == 0);
  EXPECT(jpegrt_project_cells(&blocks, 1, 1, 1, -1, plane, plane) == JPEGRT_ERR_INVALID_ARGUMENT);
  EXPECT(jpegrt_project_cells(&blocks, 1, 1, 1, 0, plane, plane) == JPEGRT_OK);
}

static void test_coefficients(void) {
  jpegrt_coefficients* coefficients;
  jpegrt_image image;
  EXPECT(jpegrt_coefficients_create(NULL) == JPEGRT_ERR_INVALID_ARGUMENT);
  EXPECT(jpegrt_coefficients_create(&coefficients) == JPEGRT_OK);
  EXPECT(jpegrt_coefficients_read(coefficients, (const uint8_t*)"text", 4, NULL, &image) ==
         JPEGRT_ERR_NOT_JPEG);
  EXPECT(strlen(jpegrt_coefficients_message(coefficients)) > 0);
  EXPECT(jpegrt_coefficients_read(coefficients, NULL, 4, NULL, &image) ==
         JPEGRT_ERR_INVALID_ARGUMENT);
  jpegrt_coefficients_destroy(coefficients);
  jpegrt_coefficients_destroy(NULL);
}

static void test_session(void) {
  const jpegrt_graph graph = {"grey", 1, 1, 1};
  jpegrt_model model = {
      sizeof(jpegrt_model), 8, 1, 1, &graph, JPEGRT_DOMAIN_CELLS, 0, 0, 0, 0, 0, 0};
  jpegrt_engine engine;
  jpegrt_session* session;
  uint8_t pixel;
  int destroyed = 0;
  engine.struct_size = sizeof engine;
  engine.user = &destroyed;
  engine.run = refuse;
  engine.destroy = count;

  EXPECT(jpegrt_session_create(NULL, &model, &engine, &session) == JPEGRT_OK);
  EXPECT(jpegrt_session_restore(session, &pixel, 1) == JPEGRT_ERR_INVALID_ARGUMENT);
  EXPECT(strstr(jpegrt_session_message(session), "read one"));
  EXPECT(destroyed == 0);
  jpegrt_session_destroy(session);
  EXPECT(destroyed == 1);
  jpegrt_session_destroy(NULL);

  model.cell_px = 3;
  EXPECT(jpegrt_session_create(NULL, &model, &engine, &session) == JPEGRT_ERR_INVALID_ARGUMENT);
  EXPECT(session == NULL && destroyed == 2);
  EXPECT(strstr(jpegrt_create_message(), "cell_px"));
  EXPECT(jpegrt_session_create(NULL, &model, NULL, &session) == JPEGRT_ERR_INVALID_ARGUMENT);
}

static void test_create_messages(void) {
  jpegrt_coefficients* coefficients;
  jpegrt_bundle* bundle;
  jpegrt_session* session;
  const uint8_t* bytes;
  size_t size;
  EXPECT(jpegrt_bundle_open("no such folder", &bundle) == JPEGRT_ERR_BUNDLE && bundle == NULL);
  EXPECT(strstr(jpegrt_create_message(), "no such folder/manifest.json cannot be read"));
  EXPECT(jpegrt_session_open("no such folder", "none", NULL, NULL, &session) == JPEGRT_ERR_BUNDLE);
  EXPECT(session == NULL && strstr(jpegrt_create_message(), "no such folder"));
  EXPECT(jpegrt_coefficients_create(NULL) == JPEGRT_ERR_INVALID_ARGUMENT);
  EXPECT(strstr(jpegrt_create_message(), "null pointer"));
  EXPECT(jpegrt_coefficients_create(&coefficients) == JPEGRT_OK);
  EXPECT(strcmp(jpegrt_create_message(), "") == 0);
  jpegrt_coefficients_destroy(coefficients);
  EXPECT(jpegrt_bundle_read_graph(NULL, "grey", NULL, &bytes, &size) ==
         JPEGRT_ERR_INVALID_ARGUMENT);
  jpegrt_bundle_destroy(NULL);
}

int main(void) {
  EXPECT(jpegrt_version() ==
         JPEGRT_VERSION_MAJOR * 1000000 + JPEGRT_VERSION_MINOR * 1000 + JPEGRT_VERSION_PATCH);
  EXPECT(strncmp(jpegrt_libjpeg_version(), "libjpeg", 7) == 0);
  test_blocks();
  test_packed();
  test_coefficients();
  test_session();
  test_create_messages();
  return failures != 0;
}
