// libjpeg's own decode, called as any program calls it: what a restore's time is compared with.

#include <cstdio>
// jpeglib.h needs <cstdio> before it
#include <jpeglib.h>
// jerror.h needs jpeglib.h before it
#include <jerror.h>

#include <csetjmp>

#include "jpegrt.h"

namespace {

struct ErrorManager {
  jpeg_error_mgr base;  // first, because libjpeg only knows its address
  std::jmp_buf jump;
};

void ErrorExit(j_common_ptr decoder) {
  std::longjmp(reinterpret_cast<ErrorManager*>(decoder->err)->jump, 1);
}

void OutputMessage(j_common_ptr) {}  // libjpeg would print

}  // namespace

// No object with a destructor may live here: libjpeg's errors jump over them.
jpegrt_status jpegrt_plain_decode(const uint8_t* bytes, size_t size, uint32_t width,
                                  uint32_t height, uint32_t channels, uint8_t* pixels,
                                  uint64_t row_stride) {
  if (!bytes || !pixels || (channels != 1 && channels != 3) ||
      row_stride < static_cast<uint64_t>(width) * channels)
    return JPEGRT_ERR_INVALID_ARGUMENT;
  jpeg_decompress_struct decoder;
  ErrorManager errors;
  decoder.err = jpeg_std_error(&errors.base);
  errors.base.error_exit = ErrorExit;
  errors.base.output_message = OutputMessage;
  if (setjmp(errors.jump)) {
    const int reason = errors.base.msg_code;
    jpeg_destroy_decompress(&decoder);
    return reason == JERR_OUT_OF_MEMORY ? JPEGRT_ERR_NO_MEMORY : JPEGRT_ERR_DAMAGED;
  }
  jpeg_create_decompress(&decoder);
  jpeg_mem_src(&decoder, bytes, static_cast<unsigned long>(size));
  jpeg_read_header(&decoder, TRUE);
  const bool fits = decoder.image_width == width && decoder.image_height == height &&
                    (channels == 1 || decoder.num_components == 3);
  if (fits) {
    decoder.out_color_space = channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_start_decompress(&decoder);
    while (decoder.output_scanline < height) {
      JSAMPROW row = pixels + decoder.output_scanline * row_stride;
      jpeg_read_scanlines(&decoder, &row, 1);
    }
    jpeg_finish_decompress(&decoder);
  }
  const bool damaged = errors.base.num_warnings > 0;
  jpeg_destroy_decompress(&decoder);
  if (!fits) return JPEGRT_ERR_INVALID_ARGUMENT;
  return damaged ? JPEGRT_ERR_DAMAGED : JPEGRT_OK;
}
