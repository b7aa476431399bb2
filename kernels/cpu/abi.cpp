// The C ABI: arguments checked, exceptions turned into statuses and messages.

#include <cstdio>
// jpeglib.h needs <cstdio> before it
#include <jpeglib.h>

#include <string>

#include "coefficients.h"
#include "create_message.h"
#include "guard.h"
#include "jpegrt.h"
#include "unpack.h"

struct jpegrt_coefficients {
  jpegrt::Coefficients core;
  std::string message;
};

using jpegrt::Guard;
using jpegrt::GuardCreate;
using jpegrt::Refuse;

namespace {

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
