// The C ABI: arguments checked, exceptions turned into statuses and messages.

#include <cstdio>
// jpeglib.h needs <cstdio> before it
#include <jpeglib.h>

#include <cfloat>
#include <string>

#include "coefficients.h"
#include "create_message.h"
#include "error.h"
#include "guard.h"
#include "jpegrt.h"
#include "project.h"
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

using jpegrt::Guard;
using jpegrt::GuardCreate;
using jpegrt::Refuse;

namespace {

constexpr uint32_t kMaxThreads = 1024;

bool Valid(const jpegrt_blocks* blocks) {
  return blocks && blocks->data && blocks->table && blocks->rows && blocks->columns &&
         blocks->stride >= blocks->columns;
}

bool ValidCellSide(uint32_t side) { return side == 1 || side == 2 || side == 4 || side == 8; }

jpegrt_read_options Defaults(const jpegrt_read_options* options) {
  return options ? *options : jpegrt_read_options{sizeof(jpegrt_read_options), 0, 0};
}

bool Valid(const jpegrt_read_options* options) {
  return !options || options->struct_size == sizeof(jpegrt_read_options);
}

void CheckProjection(const jpegrt_session_options& options, const jpegrt_model* model) {
  const auto require = [](bool is_so, const char* otherwise) {
    if (!is_so) throw jpegrt::Error(JPEGRT_ERR_INVALID_ARGUMENT, otherwise);
  };
  require(model && model->domain == JPEGRT_DOMAIN_CELLS,
          "only what a model of the domain cells restores can be projected");
  require(options.slack >= 0 && options.slack <= FLT_MAX, "the slack is not 0 or more");
  require(model->scale <= jpegrt::kMaxProjectedScale, "the model's scale is more than 2^64");
}

// Throws Error if a session cannot be made of these.
void CheckSession(const jpegrt_session_options* options, const jpegrt_model* model,
                  const jpegrt_engine* engine) {
  const auto require = [](bool is_so, const char* otherwise) {
    if (!is_so) throw jpegrt::Error(JPEGRT_ERR_INVALID_ARGUMENT, otherwise);
  };
  const char* const other_version = "a struct_size is that of another version of jpegrt.h";
  if (options) {
    require(options->struct_size == sizeof(jpegrt_session_options) && Valid(&options->read),
            other_version);
    require(options->threads <= kMaxThreads, "more than 1024 threads are asked for");
    if (options->project) CheckProjection(*options, model);
  }
  require(!model == !engine, "a model needs an engine, and an engine a model");
  if (!model) return;
  require(model->struct_size == sizeof(jpegrt_model), other_version);
  require(engine->struct_size == sizeof(jpegrt_engine), other_version);
  require(ValidCellSide(model->cell_px), "the model's cell_px is not 1, 2, 4 or 8");
  require(model->scale > 0, "the model's scale is not above 0");
  require(model->graphs, "the model has no graphs");
  require(engine->run, "the engine has no function to run");
}

}  // namespace

uint32_t jpegrt_version(void) {
  return JPEGRT_VERSION_MAJOR * 1000000u + JPEGRT_VERSION_MINOR * 1000u + JPEGRT_VERSION_PATCH;
}

const char* jpegrt_create_message(void) { return jpegrt::CreateMessage(); }

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
  if (out) *out = nullptr;
  return GuardCreate([&] {
    if (!out) jpegrt::ThrowInvalidArgument();
    *out = new jpegrt_coefficients();
  });
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
  if (out) *out = nullptr;
  const jpegrt_status status = GuardCreate([&] {
    if (!out) jpegrt::ThrowInvalidArgument();
    CheckSession(options, model, engine);
    const jpegrt_session_options defaults = {sizeof(jpegrt_session_options), 0, Defaults(nullptr),
                                             0, 0};
    *out = new jpegrt_session(options ? *options : defaults, model, engine);
    if (engine) (*out)->engine = *engine;
  });
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

jpegrt_status jpegrt_session_load(jpegrt_session* session, const jpegrt_image* image) {
  if (!session || !image) return Refuse(session);
  return Guard(&session->message, [&] { session->core.Load(*image); });
}

jpegrt_status jpegrt_session_restore(jpegrt_session* session, uint8_t* pixels, size_t row_stride) {
  if (!session || !pixels) return Refuse(session);
  return Guard(&session->message, [&] { session->core.Restore(pixels, row_stride); });
}

jpegrt_status jpegrt_session_load_pixels(jpegrt_session* session, const uint8_t* pixels,
                                         uint32_t width, uint32_t height, uint32_t channels,
                                         size_t row_stride) {
  if (!session || !pixels) return Refuse(session);
  return Guard(&session->message,
               [&] { session->core.LoadPixels(pixels, width, height, channels, row_stride); });
}

jpegrt_status jpegrt_session_output_size(jpegrt_session* session, jpegrt_pixel_size* size) {
  if (!session || !size) return Refuse(session);
  return Guard(&session->message, [&] { *size = session->core.OutputSize(); });
}

jpegrt_status jpegrt_session_restore16(jpegrt_session* session, uint16_t* pixels,
                                       size_t row_stride) {
  const bool aligned = reinterpret_cast<uintptr_t>(pixels) % 2 == 0 && row_stride % 2 == 0;
  if (!session || !pixels) return Refuse(session);
  return Guard(&session->message, [&] {
    if (!aligned)
      throw jpegrt::Error(JPEGRT_ERR_INVALID_ARGUMENT,
                          "16-bit pixels need an even address and an even row_stride");
    session->core.Restore(pixels, row_stride);
  });
}

jpegrt_status jpegrt_session_timings(const jpegrt_session* session, jpegrt_timings* timings) {
  if (!session || !timings) return JPEGRT_ERR_INVALID_ARGUMENT;
  *timings = session->core.timings();
  return JPEGRT_OK;
}
