// The C ABI: arguments checked, exceptions turned into statuses and messages.

#include <cstdio>
// jpeglib.h needs <cstdio> before it
#include <jpeglib.h>

#include <new>
#include <string>

#include "coefficients.h"
#include "error.h"
#include "jpegrt.h"
#include "session.h"
#include "unpack.h"

struct jpegrt_coefficients {
  jpegrt::Coefficients core;
  std::string message;
};

struct jpegrt_session {
  jpegrt_session(const jpegrt_session_options& options, const jpegrt_model* model,
                 const jpegrt_engine* engine)
      : core(options, model, engine) {}
  jpegrt::Session core;
  std::string message;
  jpegrt_engine engine = {};
};

namespace {

constexpr uint32_t kMaxThreads = 1024;

// Runs `body`, and leaves why it failed in `message`.
template <typename Body>
jpegrt_status Guard(std::string* message, const Body& body) noexcept {
  jpegrt_status status = JPEGRT_ERR_INTERNAL;
  try {
    if (message) message->clear();
    try {
      body();
      return JPEGRT_OK;
    } catch (const jpegrt::Error& error) {
      status = error.status();
      if (message) *message = error.what();
    } catch (const std::bad_alloc&) {
      status = JPEGRT_ERR_NO_MEMORY;
      if (message) *message = "out of memory";
    } catch (const std::exception& error) {
      if (message) *message = std::string("internal error: ") + error.what();
    }
  } catch (...) {  // no memory even for the message
  }
  return status;
}

bool Valid(const jpegrt_blocks* blocks) {
  return blocks && blocks->data && blocks->table && blocks->rows && blocks->columns &&
         blocks->stride >= blocks->columns;
}

// For arguments that a handle refuses before anything is done.
template <typename Handle>
jpegrt_status Refuse(Handle* handle) noexcept {
  if (!handle) return JPEGRT_ERR_INVALID_ARGUMENT;
  return Guard(&handle->message, [] {
    throw jpegrt::Error(JPEGRT_ERR_INVALID_ARGUMENT,
                        "invalid argument: a null pointer, or a struct_size of another version");
  });
}

bool ValidCellSide(uint32_t side) { return side == 1 || side == 2 || side == 4 || side == 8; }

jpegrt_read_options Defaults(const jpegrt_read_options* options) {
  return options ? *options : jpegrt_read_options{sizeof(jpegrt_read_options), 0, 0};
}

bool Valid(const jpegrt_read_options* options) {
  return !options || options->struct_size == sizeof(jpegrt_read_options);
}

}  // namespace

uint32_t jpegrt_version(void) {
  return JPEGRT_VERSION_MAJOR * 1000000u + JPEGRT_VERSION_MINOR * 1000u + JPEGRT_VERSION_PATCH;
}

const char* jpegrt_libjpeg_version(void) {
#define JPEGRT_TEXT(x) #x
#define JPEGRT_TEXT_OF(x) JPEGRT_TEXT(x)
#ifdef LIBJPEG_TURBO_VERSION
  return "libjpeg-turbo " JPEGRT_TEXT_OF(LIBJPEG_TURBO_VERSION);
#else
  return "libjpeg API " JPEGRT_TEXT_OF(JPEG_LIB_VERSION);
#endif
}

jpegrt_status jpegrt_spectrum_from_blocks(const jpegrt_blocks* blocks, float scale,
                                          float* spectrum) {
  if (!Valid(blocks) || !spectrum) return JPEGRT_ERR_INVALID_ARGUMENT;
  const size_t columns = blocks->columns;
  jpegrt::SpectrumFromBlocks(*blocks, {0, blocks->rows}, scale, spectrum, columns,
                             blocks->rows * columns);
  return JPEGRT_OK;
}

jpegrt_status jpegrt_coefficient_plane_from_blocks(const jpegrt_blocks* blocks, float scale,
                                                   float* plane) {
  if (!Valid(blocks) || !plane) return JPEGRT_ERR_INVALID_ARGUMENT;
  jpegrt::CoefficientPlaneFromBlocks(*blocks, {0, blocks->rows}, scale, plane,
                                     8 * static_cast<size_t>(blocks->columns));
  return JPEGRT_OK;
}

jpegrt_status jpegrt_cells_from_blocks(const jpegrt_blocks* blocks, uint32_t cell_width,
                                       uint32_t cell_height, float scale, float* cells) {
  if (!Valid(blocks) || !cells || !ValidCellSide(cell_width) || !ValidCellSide(cell_height))
    return JPEGRT_ERR_INVALID_ARGUMENT;
  const size_t columns = static_cast<size_t>(blocks->columns) * 8 / cell_width;
  const size_t rows = static_cast<size_t>(blocks->rows) * 8 / cell_height;
  jpegrt::CellsFromBlocks(*blocks, {0, blocks->rows}, {cell_width, cell_height}, scale, cells,
                          columns, rows * columns);
  return JPEGRT_OK;
}

jpegrt_status jpegrt_samples_from_blocks(const jpegrt_blocks* blocks, uint8_t* samples) {
  if (!Valid(blocks) || !samples) return JPEGRT_ERR_INVALID_ARGUMENT;
  jpegrt::SamplesFromBlocks(*blocks, {0, blocks->rows}, samples,
                            8 * static_cast<size_t>(blocks->columns));
  return JPEGRT_OK;
}

jpegrt_status jpegrt_coefficients_create(jpegrt_coefficients** out) {
  if (!out) return JPEGRT_ERR_INVALID_ARGUMENT;
  *out = nullptr;
  return Guard(nullptr, [&] { *out = new jpegrt_coefficients(); });
}

void jpegrt_coefficients_destroy(jpegrt_coefficients* coefficients) { delete coefficients; }

const char* jpegrt_coefficients_message(const jpegrt_coefficients* coefficients) {
  return coefficients ? coefficients->message.c_str() : "no handle";
}

jpegrt_status jpegrt_coefficients_read_header(jpegrt_coefficients* coefficients,
                                              const uint8_t* bytes, size_t size,
                                              const jpegrt_read_options* options,
                                              jpegrt_image* image) {
  if (!coefficients || (!bytes && size) || !image || !Valid(options)) return Refuse(coefficients);
  return Guard(&coefficients->message,
               [&] { *image = coefficients->core.ReadHeader(bytes, size, Defaults(options)); });
}

jpegrt_status jpegrt_coefficients_read(jpegrt_coefficients* coefficients, const uint8_t* bytes,
                                       size_t size, const jpegrt_read_options* options,
                                       jpegrt_image* image) {
  if (!coefficients || (!bytes && size) || !image || !Valid(options)) return Refuse(coefficients);
  return Guard(&coefficients->message,
               [&] { *image = coefficients->core.Read(bytes, size, Defaults(options)); });
}

jpegrt_status jpegrt_coefficients_read_packed(jpegrt_coefficients* coefficients,
                                              const uint8_t* bytes, size_t size,
                                              const jpegrt_read_options* options,
                                              jpegrt_image* image, jpegrt_packed* packed) {
  if (!coefficients || (!bytes && size) || !image || !packed || !Valid(options))
    return Refuse(coefficients);
  return Guard(&coefficients->message, [&] {
    *image = coefficients->core.ReadPacked(bytes, size, Defaults(options), packed);
  });
}

jpegrt_status jpegrt_session_create(const jpegrt_session_options* options,
                                    const jpegrt_model* model, const jpegrt_engine* engine,
                                    jpegrt_session** out) {
  jpegrt_status status = JPEGRT_ERR_INVALID_ARGUMENT;
  if (out) *out = nullptr;
  const bool valid =
      out &&
      (!options || (options->struct_size == sizeof(jpegrt_session_options) &&
                    options->threads <= kMaxThreads && Valid(&options->read))) &&
      !model == !engine &&
      (!model || (model->struct_size == sizeof(jpegrt_model) && ValidCellSide(model->cell_px) &&
                  model->scale > 0 && model->graphs && engine->run &&
                  engine->struct_size == sizeof(jpegrt_engine)));
  if (valid) {
    const jpegrt_session_options defaults = {sizeof(jpegrt_session_options), 0, Defaults(nullptr)};
    status = Guard(nullptr, [&] {
      *out = new jpegrt_session(options ? *options : defaults, model, engine);
      if (engine) (*out)->engine = *engine;
    });
  }
  // Of an engine struct of another size nothing can be read.
  const bool known = engine && engine->struct_size == sizeof(jpegrt_engine);
  if (status != JPEGRT_OK && known && engine->destroy) engine->destroy(engine->user);
  return status;
}

void jpegrt_session_destroy(jpegrt_session* session) {
  if (!session) return;
  const jpegrt_engine engine = session->engine;
  delete session;
  if (engine.destroy) engine.destroy(engine.user);
}

const char* jpegrt_session_message(const jpegrt_session* session) {
  return session ? session->message.c_str() : "no handle";
}

jpegrt_status jpegrt_session_read(jpegrt_session* session, const uint8_t* bytes, size_t size,
                                  jpegrt_image* image) {
  if (!session || (!bytes && size)) return Refuse(session);
  return Guard(&session->message, [&] {
    const jpegrt_image& read = session->core.Read(bytes, size);
    if (image) *image = read;
  });
}

jpegrt_status jpegrt_session_restore(jpegrt_session* session, uint8_t* pixels, size_t row_stride) {
  if (!session || !pixels) return Refuse(session);
  return Guard(&session->message, [&] { session->core.Restore(pixels, row_stride); });
}

jpegrt_status jpegrt_session_timings(const jpegrt_session* session, jpegrt_timings* timings) {
  if (!session || !timings) return JPEGRT_ERR_INVALID_ARGUMENT;
  *timings = session->core.timings();
  return JPEGRT_OK;
}
