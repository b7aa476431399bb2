// The C ABI of sessions.

#include <cfloat>
#include <string>

#include "../cpu/create_message.h"
#include "../cpu/error.h"
#include "../cpu/guard.h"
#include "../cpu/project.h"
#include "jpegrt.h"
#include "options.h"
#include "session.h"

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
constexpr uint32_t kMaxReceptiveFieldPx = 65535;

bool ValidCellSide(uint32_t side) { return side == 1 || side == 2 || side == 4 || side == 8; }

void Require(bool is_so, const char* otherwise) {
  if (!is_so) throw jpegrt::Error(JPEGRT_ERR_INVALID_ARGUMENT, otherwise);
}

void CheckProjection(const jpegrt_session_options& options, const jpegrt_model* model) {
  Require(
      model && (model->domain == JPEGRT_DOMAIN_CELLS || model->domain == JPEGRT_DOMAIN_SPECTRAL),
      "only what a model of the domain cells or spectral restores can be projected");
  Require(options.slack >= 0 && options.slack <= FLT_MAX, "the slack is not 0 or more");
  Require(model->scale <= jpegrt::kMaxProjectedScale, "the model's scale is more than 2^64");
}

// Throws Error if a session cannot be made of these.
void CheckSession(const jpegrt_session_options& options, const jpegrt_model* model,
                  const jpegrt_engine* engine) {
  Require(options.threads <= kMaxThreads, "more than 1024 threads are asked for");
  Require(!options.tile_px || !options.cuda,
          "tiles are restored on the CPU only: leave tile_px 0 or cuda NULL");
  Require(!model || model->receptive_field_px <= kMaxReceptiveFieldPx,
          "the model's receptive_field_px is more than 65535");
  if (options.project) CheckProjection(options, model);
  Require(!model == !engine, "a model needs an engine, and an engine a model");
  if (!model) return;
  Require(engine->struct_size == sizeof(jpegrt_engine),
          "a struct_size is that of another version of jpegrt.h");
  Require(ValidCellSide(model->cell_px), "the model's cell_px is not 1, 2, 4 or 8");
  Require(model->scale > 0 && model->scale <= FLT_MAX && 1 / model->scale <= FLT_MAX,
          "the model's scale is not above 0, or beyond what a float can hold");
  Require(model->graphs, "the model has no graphs");
  Require(engine->run, "the engine has no function to run");
  Require(!options.tile_px || model->receptive_field_px,
          "the model sees the whole image and cannot restore it in tiles: leave tile_px 0");
}

jpegrt_status Restore(jpegrt_session* session, const jpegrt::Destination& to) {
  if (!session || !to.pixels) return Refuse(session);
  return Guard(&session->message, [&] { session->core.Restore(to); });
}

}  // namespace

jpegrt_status jpegrt_session_create(const jpegrt_session_options* options,
                                    const jpegrt_model* model, const jpegrt_engine* engine,
                                    jpegrt_session** out) {
  if (out) *out = nullptr;
  const jpegrt_status status = GuardCreate([&] {
    if (!out) jpegrt::ThrowInvalidArgument();
    const jpegrt_session_options complete = jpegrt::CompleteOptions(options);
    const jpegrt_model complete_model = model ? jpegrt::CompleteModel(*model) : jpegrt_model{};
    if (model) model = &complete_model;
    CheckSession(complete, model, engine);
    *out = new jpegrt_session(complete, model, engine);
    if (engine) (*out)->engine = *engine;
  });
  // Of an engine struct of another size nothing can be read.
  const bool known = engine && engine->struct_size == sizeof(jpegrt_engine);
  if (status != JPEGRT_OK && known && engine->destroy) engine->destroy(engine->user);
  return status;
}

void jpegrt_session_destroy(jpegrt_session* session) {
  if (!session) return;
  const jpegrt_engine& engine = session->engine;
  // While there are still a device and the streams that the engine may have used.
  if (engine.destroy) session->core.OnDevice([&] { engine.destroy(engine.user); });
  delete session;
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

jpegrt_status jpegrt_session_restore(jpegrt_session* session, uint8_t* pixels, size_t row_stride) {
  return Restore(session, {pixels, row_stride, JPEGRT_UINT8, false, nullptr});
}

jpegrt_status jpegrt_session_restore16(jpegrt_session* session, uint16_t* pixels,
                                       size_t row_stride) {
  return Restore(session, {pixels, row_stride, JPEGRT_UINT16, false, nullptr});
}

jpegrt_status jpegrt_session_restore_device(jpegrt_session* session, void* pixels,
                                            size_t row_stride, jpegrt_dtype dtype, void* stream) {
  return Restore(session, {pixels, row_stride, dtype, true, stream});
}

jpegrt_status jpegrt_session_strip(jpegrt_session* session, uint32_t index, jpegrt_strip* strip) {
  if (!session || !strip) return Refuse(session);
  return Guard(&session->message, [&] { *strip = session->core.Strip(index); });
}

jpegrt_status jpegrt_session_restore_strip(jpegrt_session* session, uint32_t index, void* pixels,
                                           size_t row_stride, jpegrt_dtype dtype) {
  if (!session || !pixels) return Refuse(session);
  return Guard(&session->message, [&] {
    session->core.RestoreStrip(index, {pixels, row_stride, dtype, false, nullptr});
  });
}

jpegrt_status jpegrt_session_timings(const jpegrt_session* session, jpegrt_timings* timings) {
  if (!session || !timings) return JPEGRT_ERR_INVALID_ARGUMENT;
  *timings = session->core.timings();
  return JPEGRT_OK;
}
